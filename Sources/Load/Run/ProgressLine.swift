// Owns: the line that shows how a run goes, on standard error: one that is written over on a
// terminal, a plain one every few seconds elsewhere. Runs on the loop's thread.

internal import Glibc

/// The live line.
final class ProgressLine {
  private let isTerminal: Bool
  private let everyNs: Int64
  private var nextNs: Int64 = 0
  private var lastNs: Int64 = 0
  private var isShown = false

  init() {
    isTerminal = isatty(STDERR_FILENO) == 1
    everyNs = isTerminal ? 500_000_000 : 5_000_000_000
  }

  /// Writes a line of its own.
  func say(_ text: String) { write((isShown ? "\r\u{1B}[K" : "") + text + "\n") }

  /// Shows how it goes, if it is time to.
  func show(_ run: LoadRun, _ nowNs: Int64) {
    guard nowNs >= nextNs else { return }
    defer {
      nextNs = nowNs + everyNs
      lastNs = nowNs
      run.tally.recent.clear()
    }
    // The first look has nothing behind it.
    guard lastNs > 0 else { return }
    let text = line(run, nowNs)
    if isTerminal {
      write("\r\u{1B}[K" + text)
      isShown = true
    } else {
      write(text + "\n")
    }
  }

  /// Leaves the line.
  func finish() {
    if isShown { write("\r\u{1B}[K") }
    isShown = false
  }

  private func line(_ run: LoadRun, _ nowNs: Int64) -> String {
    let seconds = NumberText.decimal(nowNs - run.startNs, over: 1e9, 0)
    let totalS = NumberText.decimal(
      run.options.warmupMs + run.options.durationMs, over: 1_000, 0)
    let recent = run.tally.recent
    let perSecond = Double(recent.count) / max(0.001, Double(nowNs - lastNs) / 1e9)
    var text = "\(run.phaseName) \(seconds)/\(totalS) s"
    if run.phaseName == "closing" || run.phaseName == "checking" {
      text = "\(run.phaseName), \(NumberText.grouped(run.awaitingCheck)) conversations to check"
    } else {
      text += " · \(NumberText.grouped(Int(perSecond))) requests/s"
      text += " · p50 \(NumberText.ms(recent.percentileNs(0.5)))"
      text += " p99 \(NumberText.ms(recent.percentileNs(0.99))) ms"
      text += " · \(NumberText.grouped(run.inFlight)) callers at work"
    }
    text += " · \(NumberText.grouped(run.tally.errorCount)) errors"
    text += " · \(NumberText.grouped(run.counts.abandonments)) abandoned"
    return text + " · \(NumberText.grouped(run.counts.checked)) checked"
  }

  private func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
  }
}
