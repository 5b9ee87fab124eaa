// Owns: `latchkey backup to`: from LIST and EXPORT to a file. Main thread.

import Glibc
import LatchkeyClient

/// One backup on its way to its file.
struct BackupExport {
  private let path: String
  private let list: String
  private let caller: PatientCaller
  /// Whether sealed values are written as they are in Redis.
  private let isSealed: Bool
  private var writer: BackupWriter
  private var cursor = ""
  private var progress: BackupProgress
  /// Sessions that could not be exported.
  private var failed = 0

  /// So many sessions are in a page: what is done again after an interruption.
  private static let pageRows = 100

  /// Begins FILE.part, or goes on with it.
  init(
    _ path: String, list: String, resumes: Bool, isSealed: Bool, _ caller: PatientCaller
  ) throws(BackupProblem) {
    (self.path, self.list, self.caller, self.isSealed) = (path, list, caller, isSealed)
    guard access(path, F_OK) != 0 else {
      throw BackupProblem(text: "\(path) is there already: choose another name, or remove it")
    }
    let part = path + ".part"
    guard resumes else {
      guard access(part, F_OK) != 0 else {
        throw BackupProblem(text: "\(part) is there already: go on with --resume, or remove it")
      }
      writer = try BackupWriter(new: part, list: list)
      progress = BackupProgress("written")
      return
    }
    let check = try BackupCheck(part, toLastPage: true)
    guard check.list == list else {
      throw BackupProblem(text: "\(part) is a backup of '\(check.list)', not of '\(list)'")
    }
    guard let page = check.page else {
      throw BackupProblem(text: "\(part) has no complete page: remove it, and begin anew")
    }
    writer = try BackupWriter(resuming: part, at: page)
    cursor = page.cursor
    progress = BackupProgress("written", first: page.sum.sessions)
  }

  mutating func run() throws(BackupProblem) -> Int32 {
    repeat {
      try writePage()
      if !cursor.isEmpty { try writer.endPage(cursor: cursor) }
    } while !cursor.isEmpty
    try writer.end()
    let check = try BackupCommand.checked(writer.path)
    guard check.sum == writer.sum else {
      throw BackupProblem(text: "\(writer.path) does not have what was written to it")
    }
    guard rename(writer.path, path) == 0 else {
      throw BackupProblem(text: "\(path) cannot be made: \(BackupReader.reason())")
    }
    progress.end(sessions: writer.sum.sessions, bytes: writer.bytes)
    print("\(path): \(writer.sum.sessions) sessions, \(HumanText.bytes(writer.bytes)), checked")
    return failed == 0 ? 0 : 1
  }

  private var done: String {
    "\(writer.sum.sessions) sessions are in \(writer.path): go on with --resume"
  }

  /// Writes the sessions of the next page of the list.
  private mutating func writePage() throws(BackupProblem) {
    let options =
      " fields=none limit=\(BackupExport.pageRows)" + (cursor.isEmpty ? "" : " cursor=\(cursor)")
    let reply = caller.ask(list + options, orEnd: done)
    guard reply.word == .ok else { throw BackupProblem(text: "\(reply.line)\n\(done)") }
    let page = JSONView(reply.body)
    for session in page["sessions"]?.elements ?? [] {
      try writeSession(session)
      progress.note(sessions: writer.sum.sessions, bytes: writer.bytes)
    }
    cursor = page["cursor"]?.string ?? ""
  }

  private mutating func writeSession(_ session: JSONView) throws(BackupProblem) {
    guard let device = session["device"]?.string, let id = session["session"]?.string else {
      return report("a session without an address", session.text.prefix(200))
    }
    let reply = caller.ask(
      "EXPORT \(device)/\(id)" + (isSealed ? " sealed=yes" : ""), orEnd: done)
    // One that was removed since it was listed is none.
    if reply.word == .none { return }
    guard reply.word == .ok else { return report("\(device)/\(id)", reply.line[...]) }
    if JSONView(reply.body)["damaged"] != nil {
      return report("\(device)/\(id)", "it is corrupt in Redis: EXPORT names what, in damaged")
    }
    try writer.add(String(reply.body))
  }

  private mutating func report(_ address: String, _ text: Substring) {
    failed += 1
    _ = Console.write("latchkey backup: \(address): not written: \(text)\n", to: 2)
  }
}
