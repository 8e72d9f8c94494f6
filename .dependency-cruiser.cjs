// Who may import whom: the layers of the house as a table. An edge goes to a lower line only; every package may import tensor.
const mayImport = {
  tensor: [],
  kernels: ['native'],
  onnx: [],
  losses: ['kernels', 'onnx'],
  optim: ['kernels'],
  data: ['kernels'],
  ensembles: ['kernels'],
  autodiff: ['onnx'],
  runtime: ['onnx', 'autodiff', 'kernels', 'losses'],
  trainer: ['kernels', 'losses', 'optim', 'data', 'ensembles', 'onnx', 'autodiff', 'runtime'],
  specialists: ['kernels', 'losses', 'optim', 'data', 'ensembles', 'onnx', 'autodiff', 'runtime', 'trainer'],
  papers: ['kernels', 'losses', 'optim', 'data', 'ensembles', 'onnx', 'autodiff', 'runtime', 'trainer', 'specialists'],
  cli: [
    'kernels',
    'losses',
    'optim',
    'data',
    'ensembles',
    'onnx',
    'autodiff',
    'runtime',
    'trainer',
    'specialists',
    'papers',
  ],
}

/** Vendors that live behind one door each: who may open it. */
const doors = [
  { vendor: '^onnxruntime-node|node_modules/onnxruntime-node', rooms: ['^packages/runtime/src'] },
  {
    vendor: '^(node:)?fs(/promises)?$',
    rooms: [
      '^packages/(data|runtime|cli)/src',
      '^packages/trainer/src/(checkpoint|run-folder)',
      '^packages/onnx/src/external-data',
      '^packages/kernels/src/loader',
    ],
  },
]

const rooms = Object.entries(mayImport).map(([room, below]) => ({
  name: `layers: ${room}`,
  severity: 'error',
  comment: `${room} may import ${['tensor', ...below].join(', ')} only (docs/decisions)`,
  from: { path: `^packages/${room}/src` },
  to: {
    path: '^(packages|native)/',
    pathNot: [`^packages/${room}/src`, '^packages/tensor/', ...below.map((name) => `^(packages/)?${name}/`)],
  },
}))

module.exports = {
  forbidden: [
    ...rooms,
    ...doors.map(({ vendor, rooms }) => ({
      name: `door: ${vendor}`,
      severity: 'error',
      from: { path: '^packages/[^/]+/src', pathNot: rooms },
      to: { path: vendor },
    })),
    {
      name: 'no cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'resolvable', severity: 'error', from: { path: '^packages/[^/]+/src' }, to: { couldNotResolve: true } },
  ],
  options: {
    includeOnly: '^(packages/[^/]+/src|native|(node:)?fs|node_modules/onnxruntime-node|onnxruntime-node)',
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.test.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@imago/source', 'import', 'node', 'default', 'types'],
    },
  },
}
