/** Which C library this Node runs on, where that decides which prebuilt addon fits: `gnu`, `musl`, or null off Linux. */
export function libc(): 'gnu' | 'musl' | null {
  if (process.platform !== 'linux') return null
  // The report can look up host names of open sockets, which takes seconds: not wanted here.
  const report = process.report as NodeJS.ProcessReport & { excludeNetwork?: boolean }
  const before = report.excludeNetwork
  report.excludeNetwork = true
  const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  report.excludeNetwork = before ?? false
  return header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'
}
