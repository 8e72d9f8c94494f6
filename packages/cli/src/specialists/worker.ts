import { serveWorker } from '@imago/trainer'
import { type SpecialistTask, specialistWork } from './specialist-work.js'

/** The process in which `imago specialists train` trains one specialist. */
await serveWorker((task, signal) => specialistWork(task as unknown as SpecialistTask, signal), process)
