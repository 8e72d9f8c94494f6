"""Makes npy.json: arrays as NumPy saves them, as base64, with their values. Run: python3 npy.py > npy.json"""

import base64
import io
import json
import sys

import numpy as np

rng = np.random.default_rng(7)
arrays = {}
for code in ['f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'b1']:
    for order in '<>':
        for fortran in [False, True]:
            values = (rng.standard_normal((2, 3, 2)) * 50).astype(np.float64)
            if code[0] == 'u' or code == 'b1':
                values = np.abs(values)
            array = (values > 20 if code == 'b1' else values).astype(np.dtype(order + code))
            arrays[f'{order}{code}{"F" if fortran else "C"}'] = np.asfortranarray(array) if fortran else array
arrays['scalar'] = np.array(2.5)
arrays['vector'] = np.arange(3, dtype='<i4')
arrays['empty'] = np.zeros((0, 4), dtype='<f4')
arrays['wide'] = np.array([2**63 - 1, -(2**63)], dtype='<i8')


def saved(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    return base64.b64encode(out.getvalue()).decode()


def values(array):
    if array.dtype.kind == 'f' and array.dtype.itemsize == 2:
        return [str(v) for v in array.astype(np.dtype('<f2')).view('<u2').flatten()]
    if array.dtype.kind == 'b':
        return [str(int(v)) for v in array.flatten()]
    return [repr(v) if isinstance(v, float) else str(v) for v in array.flatten().tolist()]


cases = [
    {'name': name, 'bytes': saved(array), 'dims': list(array.shape), 'values': values(array)} for name, array in arrays.items()
]
for version in [(2, 0), (3, 0)]:
    a = arrays['vector']
    cases.append({'name': f'version {version[0]}', 'bytes': saved(a, version), 'dims': [3], 'values': values(a)})

out = io.BytesIO()
np.save(out, np.array([{'a': 1}], dtype=object), allow_pickle=True)
pickled = base64.b64encode(out.getvalue()).decode()
out = io.BytesIO()
np.save(out, np.zeros(2, dtype=[('a', '<f4'), ('b', '<i4')]))
structured = base64.b64encode(out.getvalue()).decode()


def zipped(save):
    out = io.BytesIO()
    save(out, x=(np.arange(24, dtype='<f4') / 8).reshape(6, 4), y=np.array([0, 1, 2, 0, 1, 2], dtype='<i8'))
    return base64.b64encode(out.getvalue()).decode()


json.dump(
    {
        'provenance': f'NumPy {np.__version__}, Python {sys.version.split()[0]}, seed 7',
        'arrays': cases,
        'pickled': pickled,
        'structured': structured,
        'npz': {'stored': zipped(np.savez), 'deflated': zipped(np.savez_compressed)},
    },
    sys.stdout,
    indent=1,
)
print()
