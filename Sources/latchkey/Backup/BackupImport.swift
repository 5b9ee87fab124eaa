// Owns: `latchkey backup from`: from a file to IMPORT. Main thread.

import LatchkeyClient

/// A backup on its way to a worker.
struct BackupImport {
  private let path: String
  private let total: Int
  private let skipped: Int
  private let isReplacing: Bool
  private let caller: PatientCaller
  /// No other run has it.
  private let run = String(UInt64.random(in: .min ... .max), radix: 36)
  private var progress: BackupProgress
  private var sessions = 0
  private var bytes = 0
  private var (made, kept, over, failed) = (0, 0, 0, 0)

  init(
    _ path: String, total: Int, skipped: Int, isReplacing: Bool, _ caller: PatientCaller
  ) {
    (self.path, self.total, self.skipped) = (path, total, skipped)
    (self.isReplacing, self.caller) = (isReplacing, caller)
    progress = BackupProgress("read", first: skipped)
  }

  mutating func restore() throws(BackupProblem) -> Int32 {
    var reader = try BackupReader(path)
    defer { reader.close() }
    while let line = try reader.next() {
      guard case .session(let json) = line else { continue }
      if sessions >= skipped { make(json) }
      sessions += 1
      bytes += json.count
      progress.note(sessions: sessions, bytes: bytes, of: total)
    }
    progress.end(sessions: sessions, bytes: bytes, of: total)
    print(
      "\(path): \(made) sessions made, \(kept) were there already, \(over) are over, "
        + "\(failed) failed")
    return failed == 0 ? 0 : 1
  }

  /// Makes a session; under an idempotency key of this run, so that it may be asked for again.
  private mutating func make(_ json: [UInt8]) {
    let options = "req=backup-\(run)-\(sessions)" + (isReplacing ? " replace=yes" : "")
    let reply = caller.ask(
      "IMPORT \(options) \(String(decoding: json, as: UTF8.self))",
      orEnd: "\(sessions) of \(total) sessions were read: go on with --skip \(sessions)")
    if reply.word == .ok {
      made += 1
    } else if reply.errorCode == "illegal_state", reply.body.contains(" is there already") {
      kept += 1
    } else if reply.errorCode == "illegal_state", reply.body.contains(" was kept until ") {
      over += 1
    } else {
      failed += 1
      let session = JSONView(json)
      let address = "\(session["device"]?.bare ?? "?")/\(session["session"]?.bare ?? "?")"
      _ = Console.write("latchkey backup: \(address): not made: \(reply.line)\n", to: 2)
    }
  }
}
