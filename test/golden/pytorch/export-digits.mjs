// Writes the embedded digits as an .npz for export_classifiers.py: node export-digits.mjs FILE
import { writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { drawDigits } from '@imago/data'
import { rng } from '@imago/tensor'
import { npz } from '../npz.mjs'

const { images, labels } = drawDigits({ count: 4000, rng: rng(20261120) })
writeFileSync(argv[2], npz({ images: ['|u1', images.dims, images.data], labels: ['<i4', labels.dims, labels.data] }))
