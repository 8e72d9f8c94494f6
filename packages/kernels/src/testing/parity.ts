import type { KernelBuffer } from '../binding.js'
import { type Kernel, reference } from '../reference/index.js'
import type { KernelName } from '../signatures.js'
import { excess } from './judge.js'
import type { KernelCall, ParityCase, ParityTable, Verdict } from './parity-case.js'
import { parityTables } from './tables.js'

/** One line of a parity report. */
export interface ParityRow {
  readonly kernel: string
  readonly case: string
  /** The output whose worst element this is, or what else went wrong. */
  readonly output: string
  readonly error: number
  readonly tolerance: number
  readonly pass: boolean
}

/** Compare an implementation of a built-in kernel with its reference on every case, in two memory layouts. */
export function parity(kernel: KernelName, implementation: Kernel): ParityRow[] {
  return parityOf(kernel, parityTables[kernel], reference[kernel], implementation)
}

/** The same for a kernel of your own: its cases and judge, its reference, its implementation. */
export function parityOf(kernel: string, table: ParityTable, oracle: Kernel, implementation: Kernel): ParityRow[] {
  return trials(kernel, table, oracle).flatMap(({ laid, judge }) => {
    try {
      implementation(laid.buffers, laid.scalars)
    } catch (error) {
      return judge(error)
    }
    return judge(null)
  })
}

/** One call of a kernel to be made: on `laid`, which is then judged together with what was thrown. */
export interface Trial {
  readonly laid: Laid
  judge(thrown: unknown): ParityRow[]
}

/** Every case of a table, in two memory layouts. */
export function trials(kernel: string, table: ParityTable, oracle: Kernel): Trial[] {
  return table.cases.flatMap((one) => {
    const call = one.make()
    const want = one.refuses ? null : runOn(oracle, layOut(call, 0))
    return [0, 1].map((offset) => {
      const name = offset === 0 ? one.name : `${one.name}, at an odd address`
      const report = (verdict: Verdict): ParityRow => ({ kernel, case: name, ...verdict, pass: excess(verdict) <= 1 })
      const laid = layOut(call, offset)
      const verdicts = (thrown: unknown): Verdict[] =>
        want === null ? refusal(one, table, call, laid, thrown) : accepted(table, call, want, laid, thrown)
      return { laid, judge: (thrown) => verdicts(thrown).map(report) }
    })
  })
}

function runOn(kernel: Kernel, laid: Laid): KernelCall {
  kernel(laid.buffers, laid.scalars)
  return laid
}

function accepted(table: ParityTable, call: KernelCall, want: KernelCall, laid: Laid, thrown: unknown): Verdict[] {
  if (thrown !== null) return [failure(`throws ${messageOf(thrown)}`)]
  const changed = changedInput(table, call, laid)
  if (changed >= 0) return [failure(`wrote to the input at position ${changed}`)]
  if (laid.overrun()) return [failure('wrote outside a buffer')]
  return table.judge(call, want, laid)
}

/** What a refused call leaves in its outputs is unspecified; everything else must be as it was. */
function refusal(one: ParityCase, table: ParityTable, call: KernelCall, laid: Laid, thrown: unknown): Verdict[] {
  if (thrown === null) return [failure(`accepts what it must refuse with ${one.refuses}`)]
  const message = messageOf(thrown)
  if (!one.refuses!.test(message)) return [failure(`refuses with "${message}" instead of ${one.refuses}`)]
  if (changedInput(table, call, laid) >= 0) return [failure('refuses, but wrote to an input')]
  if (laid.overrun()) return [failure('refuses, but wrote outside a buffer')]
  return [{ output: 'refusal', error: 0, tolerance: 0 }]
}

/** The position of a buffer that is no output and is not as it was, or −1. */
function changedInput(table: ParityTable, call: KernelCall, laid: Laid): number {
  const outputs = new Set(table.outputs.map((i) => laid.buffers[i]))
  return call.buffers.findIndex((buffer, i) => !outputs.has(laid.buffers[i]!) && !same(buffer, laid.buffers[i]!))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function failure(output: string): Verdict {
  return { output, error: Number.POSITIVE_INFINITY, tolerance: 0 }
}

/** A call in memory with guard elements around each buffer. */
export interface Laid extends KernelCall {
  /** True where bytes around a buffer have changed. */
  overrun(): boolean
}

const guard = 8
const canary = 0x5a

/** Copies of the buffers, each `offset` elements behind an aligned address, with guard elements around. Aliases stay aliases. */
function layOut({ buffers, scalars }: KernelCall, offset: number): Laid {
  const copies = new Map<KernelBuffer, KernelBuffer>([[null, null]])
  const memories: { bytes: Uint8Array; from: number; to: number }[] = []
  for (const buffer of buffers) {
    if (buffer === null || copies.has(buffer)) continue
    const size = buffer.BYTES_PER_ELEMENT
    const bytes = new Uint8Array((buffer.length + 2 * guard) * size).fill(canary)
    const from = (guard + offset) * size
    const copy = new (buffer.constructor as Float32ArrayConstructor)(bytes.buffer, from, buffer.length)
    copy.set(buffer as Float32Array)
    copies.set(buffer, copy)
    memories.push({ bytes, from, to: from + buffer.length * size })
  }
  const overrun = (): boolean =>
    memories.some(({ bytes, from, to }) =>
      [bytes.subarray(0, from), bytes.subarray(to)].some((zone) => zone.some((byte) => byte !== canary)),
    )
  return { buffers: buffers.map((buffer) => copies.get(buffer)!), scalars, overrun }
}

function same(a: KernelBuffer, b: KernelBuffer): boolean {
  if (a === null || b === null) return a === b
  const bytes = (view: ArrayBufferView): Buffer => Buffer.from(view.buffer, view.byteOffset, view.byteLength)
  return bytes(a).equals(bytes(b))
}
