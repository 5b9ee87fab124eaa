// Owns: what the control loop writes into the log every second. Runs on the main thread.

internal import Loop
internal import Seal

extension Control {
  private static let logCheckMs: Int64 = 1_000

  func writeRepeats() {
    noteUnopenedValues()
    log.writeRepeats()
    logCheck?.set(afterMs: Control.logCheckMs)
  }

  /// Logs that there were sealed values that did not open.
  func noteUnopenedValues() {
    let count = SealedValue.unopenedCount
    guard count > notedUnopened else { return }
    log.repeated(
      .error, "sealed values do not open", count: count - notedUnopened,
      ["error": "this worker has not their key, or they were changed in Redis"])
    notedUnopened = count
  }
}
