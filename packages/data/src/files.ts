export { removePartial, syncFolder, writeAtomic } from './files/atomic-file.js'
export { FolderInUse, lockFolder } from './files/lock.js'
