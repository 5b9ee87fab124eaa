// Owns: the form of a backup: lines of JSON, and how they are written and read. Main thread.
//
//   {"latchkey_backup":1,"list":"*","at":1795233692477}   the beginning
//   {"format":1,…}                                        a session, as EXPORT gives it
//   {"cursor":"0a3.…","sessions":100,"sum":"…"}           a page of the list is complete
//   {"end":true,"sessions":1234,"sum":"…"}                the end
//
// `sum` is a hash over all lines of sessions up to there: of the one before, and the line.

import Glibc
import Loop
import Wire

/// What is wrong with a backup, in words for people.
struct BackupProblem: Error {
  let text: String
}

/// A line of a backup.
enum BackupLine {
  case begin(list: String)
  case session([UInt8])
  case page(cursor: String, sessions: Int, sum: String)
  case end(sessions: Int, sum: String)

  /// Reads a line without its end.
  init(_ bytes: [UInt8], number: Int) throws(BackupProblem) {
    guard LineJSON.isValue(bytes.span, depthMax: 100) else {
      throw BackupProblem(text: "line \(number) is not valid JSON")
    }
    // Sessions are many, and long: their members are not looked at.
    if bytes.starts(with: Array("{\"format\":".utf8)) {
      self = .session(bytes)
      return
    }
    let line = JSONView(bytes)
    let (sessions, sum) = (line["sessions"]?.int, line["sum"]?.string)
    if line["latchkey_backup"]?.int == 1, let list = line["list"]?.string {
      self = .begin(list: list)
    } else if let cursor = line["cursor"]?.string, let sessions, let sum {
      self = .page(cursor: cursor, sessions: Int(sessions), sum: sum)
    } else if line["end"]?.text == "true", let sessions, let sum {
      self = .end(sessions: Int(sessions), sum: sum)
    } else {
      throw BackupProblem(text: "line \(number) is none of a backup")
    }
  }
}

/// The count and the hash of the sessions of a backup so far.
struct BackupSum: Equatable {
  private(set) var sessions = 0
  private var hash = [UInt8](repeating: 0, count: 16)

  mutating func add(_ line: [UInt8]) {
    sessions += 1
    hash = hash.withUnsafeBufferPointer { before in
      line.withUnsafeBufferPointer { Digest.sha256Prefix(before, $0) }
    }
  }

  var text: String {
    let digits = Array("0123456789abcdef")
    return String(hash.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }
}

/// A file that is read line by line.
struct BackupReader {
  private let descriptor: Int32
  private var chunk = [UInt8](repeating: 0, count: 1 << 16)
  private var left: ArraySlice<UInt8> = []
  /// The number of the latest line, and where it ends in the file.
  private(set) var number = 0
  private(set) var offset = 0
  /// A session is 16 MiB at most, unless --max-record is more.
  static let lineBytesMax = 64 << 20

  init(_ path: String) throws(BackupProblem) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw BackupProblem(text: "\(path) cannot be read: \(BackupReader.reason())")
    }
  }

  func close() { Glibc.close(descriptor) }

  /// The next line without its end; nil at the end of the file, also if its last line has no end.
  mutating func next() throws(BackupProblem) -> BackupLine? {
    var line: [UInt8] = []
    while true {
      if let end = left.firstIndex(of: 10) {
        line += left[..<end]
        left = left[(end + 1)...]
        number += 1
        offset += line.count + 1
        return try BackupLine(line, number: number)
      }
      line += left
      guard line.count <= BackupReader.lineBytesMax else {
        throw BackupProblem(text: "line \(number + 1) is over 64 MiB")
      }
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR {
        left = []
        continue
      }
      guard count >= 0 else {
        throw BackupProblem(text: "it cannot be read: \(BackupReader.reason())")
      }
      left = chunk[..<count]
      guard count > 0 else { return nil }
    }
  }

  static func reason() -> String { String(cString: strerror(errno)) }
}

/// What a whole file holds.
struct BackupCheck {
  let list: String
  let sum: BackupSum
  /// The latest complete page: where it ends in the file, its cursor, and the sessions up to it.
  private(set) var page: (offset: Int, cursor: String, sum: BackupSum)?
  let isComplete: Bool

  /// Reads a file to its end, or with `toLastPage` an unfinished one as far as it is good.
  init(_ path: String, toLastPage: Bool = false) throws(BackupProblem) {
    var reader = try BackupReader(path)
    defer { reader.close() }
    list = try BackupCheck.begin(&reader, path)
    var sum = BackupSum()
    var isComplete = false
    do throws(BackupProblem) {
      while let line = try reader.next() {
        guard !isComplete else { throw BackupProblem(text: "\(path) goes on behind its end") }
        isComplete = try BackupCheck.take(line, &sum, reader.number)
        if case .page(let cursor, _, _) = line { page = (reader.offset, cursor, sum) }
      }
    } catch {
      guard toLastPage else { throw BackupProblem(text: "\(path) is damaged: \(error.text)") }
    }
    (self.sum, self.isComplete) = (sum, isComplete)
  }

  /// The selection that a backup's first line names.
  private static func begin(
    _ reader: inout BackupReader, _ path: String
  ) throws(BackupProblem) -> String {
    do throws(BackupProblem) {
      if case .begin(let list)? = try reader.next() { return list }
      throw BackupProblem(text: "its first line is another")
    } catch {
      throw BackupProblem(text: "\(path) is no backup of latchkey: \(error.text)")
    }
  }

  /// Adds a line, and compares what it says of those before it; true for the last one.
  private static func take(
    _ line: BackupLine, _ sum: inout BackupSum, _ number: Int
  ) throws(BackupProblem) -> Bool {
    let said: (sessions: Int, sum: String)
    var isEnd = false
    switch line {
    case .begin: throw BackupProblem(text: "line \(number) begins another backup")
    case .session(let bytes):
      sum.add(bytes)
      return false
    case .page(_, let sessions, let text): said = (sessions, text)
    case .end(let sessions, let text):
      said = (sessions, text)
      isEnd = true
    }
    guard said == (sum.sessions, sum.text) else {
      throw BackupProblem(
        text: "the sessions before line \(number) are not those that were written")
    }
    return isEnd
  }
}

/// A file that is written line by line.
struct BackupWriter {
  let path: String
  private let descriptor: Int32
  private(set) var sum: BackupSum
  private(set) var bytes = 0

  /// Begins a file; it must not exist.
  init(new path: String, list: String) throws(BackupProblem) {
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw BackupProblem(text: "\(path) cannot be made: \(BackupReader.reason())")
    }
    (self.path, sum) = (path, BackupSum())
    let quoted = RequestLine.quoted(list[...])
    try write("{\"latchkey_backup\":1,\"list\":\(quoted),\"at\":\(WallTime.nowMs())}")
  }

  /// Goes on with a file behind its latest complete page.
  init(
    resuming path: String, at page: (offset: Int, cursor: String, sum: BackupSum)
  ) throws(BackupProblem) {
    descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0, ftruncate(descriptor, page.offset) == 0,
      lseek(descriptor, 0, SEEK_END) == page.offset
    else { throw BackupProblem(text: "\(path) cannot be written: \(BackupReader.reason())") }
    (self.path, sum, bytes) = (path, page.sum, page.offset)
  }

  mutating func add(_ session: String) throws(BackupProblem) {
    try write(session)
    sum.add(Array(session.utf8))
  }

  mutating func endPage(cursor: String) throws(BackupProblem) {
    try write(
      "{\"cursor\":\(RequestLine.quoted(cursor[...])),\"sessions\":\(sum.sessions),"
        + "\"sum\":\"\(sum.text)\"}")
  }

  /// Writes the end, and has all of it on disk.
  mutating func end() throws(BackupProblem) {
    try write("{\"end\":true,\"sessions\":\(sum.sessions),\"sum\":\"\(sum.text)\"}")
    guard fsync(descriptor) == 0, close(descriptor) == 0 else {
      throw BackupProblem(text: "\(path) cannot be written: \(BackupReader.reason())")
    }
  }

  private mutating func write(_ line: String) throws(BackupProblem) {
    guard Console.write(line + "\n", to: descriptor) else {
      throw BackupProblem(text: "\(path) cannot be written: \(BackupReader.reason())")
    }
    bytes += line.utf8.count + 1
  }
}
