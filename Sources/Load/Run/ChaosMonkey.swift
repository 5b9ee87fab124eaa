// Owns: the command that breaks something every so often. Runs on the loop's thread, which is the
// main thread.

internal import Glibc
internal import Loop

/// The runs of a chaos command.
final class ChaosMonkey {
  private let chaos: LoadOptions.Chaos
  private var process: ChildProcess?
  private var nextNs: Int64
  /// When it was run, on this machine's monotonic clock.
  private(set) var runsNs: [Int64] = []
  private(set) var failures = 0
  /// How often it was due while an earlier run was still under way.
  private(set) var skipped = 0

  init(_ chaos: LoadOptions.Chaos, nowNs: Int64) {
    self.chaos = chaos
    nextNs = nowNs + chaos.everyMs * 1_000_000
  }

  /// Runs it if it is due; gives what there is to say about it.
  ///
  /// Once the measured time is over, none is started.
  func look(_ nowNs: Int64, mayStart: Bool = true) -> String? {
    let end = reap()
    guard mayStart, nowNs >= nextNs else { return end }
    nextNs += chaos.everyMs * 1_000_000
    guard process == nil else {
      skipped += 1
      return "chaos: the last run has not ended; this one is left out"
    }
    runsNs.append(nowNs)
    setenv("LATCHKEY_CHAOS_RUN", "\(runsNs.count)", 1)
    do throws(SystemError) {
      process = try ChildProcess(["/bin/sh", "-c", chaos.command], outputPath: "/dev/stderr")
    } catch {
      failures += 1
      return "chaos: \(error)"
    }
    return end
  }

  /// Ends a run that is still under way.
  func stop() { process?.signal(SIGTERM) }

  private func reap() -> String? {
    guard let end = process?.reap() else { return nil }
    process = nil
    guard end != .exited(0) else { return nil }
    failures += 1
    return "chaos: the command ended with \(end)"
  }
}
