// Owns: the tests of commands as bytes, of the queue, and of the kinds of Redis' errors.

import Testing

@testable import RedisConnection
import TestSupport

struct CommandBufferTests {
  private func text(_ write: (inout CommandBuffer) -> Void) -> String {
    var buffer = CommandBuffer()
    write(&buffer)
    return String(decoding: buffer.bytes, as: UTF8.self)
  }

  @Test func `a command is an array of bulk strings`() {
    #expect(text { $0.command("PING") } == "*1\r\n$4\r\nPING\r\n")
    #expect(text { $0.command("GET", "") } == "*2\r\n$3\r\nGET\r\n$0\r\n\r\n")
    #expect(text { $0.command("a", "b", "c") } == "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n")
  }

  @Test func `a length counts bytes, and bytes are as they are`() {
    #expect(text { $0.word("größe") } == "$7\r\ngröße\r\n")
    #expect(text { $0.word("a\r\nb") } == "$4\r\na\r\nb\r\n")
    var buffer = CommandBuffer()
    buffer.word([0, 255, 13, 10] as [UInt8])
    #expect(buffer.bytes == [36, 52, 13, 10, 0, 255, 13, 10, 13, 10])
    [1, 2].withUnsafeBufferPointer { buffer.word($0) }
    #expect(buffer.bytes.suffix(8) == [36, 50, 13, 10, 1, 2, 13, 10])
  }

  @Test(arguments: ["", "d", "größe", String(repeating: "x", count: 3_000)])
  func `a word can be made of two pieces`(piece: String) {
    Array(piece.utf8).withUnsafeBufferPointer { bytes in
      let whole = "lk:{0a3}:held:" + piece
      #expect(
        text { $0.word(Array("lk:{0a3}:held:".utf8), bytes) }
          == "$\(whole.utf8.count)\r\n\(whole)\r\n")
      for number in [0, 42, .max, .min] as [Int64] {
        let whole = "\(number) \(piece)"
        #expect(text { $0.word(number, bytes) } == "$\(whole.utf8.count)\r\n\(whole)\r\n")
      }
    }
  }

  @Test func `the bytes of another buffer are appended unchanged`() {
    var inner = CommandBuffer()
    for number in 0..<500 as Range<Int64> { inner.word(number) }
    #expect(text { $0.encoded(inner) } == String(decoding: inner.bytes, as: UTF8.self))
    #expect(text { $0.encoded(CommandBuffer()) }.isEmpty)
  }

  @Test(
    arguments: [
      (0, "$1\r\n0\r\n"), (7, "$1\r\n7\r\n"), (10, "$2\r\n10\r\n"), (-1, "$2\r\n-1\r\n"),
      (9_007_199_254_740_991, "$16\r\n9007199254740991\r\n"),
      (.max, "$19\r\n9223372036854775807\r\n"), (.min, "$20\r\n-9223372036854775808\r\n"),
    ] as [(Int64, String)])
  func `a number is a word of its digits`(number: Int64, bytes: String) {
    #expect(text { $0.word(number) } == bytes)
  }

  @Test func `long words and commands have all digits in their lengths`() {
    let long = String(repeating: "x", count: 100_000)
    #expect(text { $0.word(long) } == "$100000\r\n\(long)\r\n")
    #expect(text { $0.begin(words: 1_234_567) } == "*1234567\r\n")
    #expect(text { $0.emptyWord() } == "$0\r\n\r\n")
  }

  @Test func `an encoded command is appended unchanged`() {
    var inner = CommandBuffer()
    inner.word("key")
    let whole = text {
      $0.begin(words: 2)
      $0.raw("$3\r\nGET\r\n")
      $0.encoded(inner.bytes)
    }
    #expect(whole == "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n")
  }

  @Test func `a buffer that is reset is empty`() {
    var buffer = CommandBuffer()
    #expect(buffer.isEmpty)
    buffer.command("PING")
    #expect(!buffer.isEmpty)
    buffer.reset()
    #expect(buffer.isEmpty && buffer.bytes == [])
    buffer.word(String(repeating: "x", count: 3 << 20))
    buffer.reset()
    #expect(buffer.isEmpty && buffer.capacity < 1 << 20)
  }
}

struct FIFOTests {
  @Test func `elements come out as they went in, whatever happens in between`() {
    var random = Seeded("a queue")
    var queue = FIFO<Int>()
    var model: [Int] = []
    for number in 0..<20_000 {
      if Int.random(in: 0..<100, using: &random) < 50 + (number / 2_000 % 2) * 10 - 5 {
        queue.append(number)
        model.append(number)
      } else {
        #expect(queue.first == model.first)
        #expect(queue.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
      }
      #expect(queue.isEmpty == model.isEmpty)
    }
    while let element = queue.popFirst() { #expect(element == model.removeFirst()) }
    #expect(model == [] && queue.isEmpty && queue.first == nil)
  }

  @Test func `dequeued commands are not kept`() {
    final class Thing {}
    var queue = FIFO<Thing>()
    queue.append(Thing())
    queue.append(Thing())
    weak let first = queue.first
    #expect(first != nil)
    _ = queue.popFirst()
    #expect(first == nil)
  }
}

struct StoreErrorTests {
  static let refusals: [(String, String)] = [
    ("OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
    ("READONLY You can't write against a read only replica.", "READONLY"),
    ("LOADING Redis is loading the dataset in memory", "LOADING"),
    ("MISCONF Redis is configured to save RDB snapshots", "MISCONF"),
    ("BUSY Redis is busy running a script.", "BUSY"),
    ("MASTERDOWN Link with MASTER is down", "MASTERDOWN"),
    ("CLUSTERDOWN The cluster is down", "CLUSTERDOWN"),
    ("MOVED 866 127.0.0.1:7001", "MOVED"), ("ASK 866 127.0.0.1:7001", "ASK"),
    ("CROSSSLOT Keys in request do not hash to the same slot", "CROSSSLOT"),
    ("TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN"),
    ("UNBLOCKED force unblock from blocking operation, instance state changed", "UNBLOCKED"),
    ("UNKILLABLE Sorry the script already executed write commands", "UNKILLABLE"),
    ("NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"),
    ("NOAUTH Authentication required.", "NOAUTH"),
    ("WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS"),
    ("NOPERM this user has no permissions to run the 'eval' command", "NOPERM"),
    ("OOM", "OOM"), ("READONLY", "READONLY"),
    ("OOM command not allowed. script: abc, on @user_script:1.", "OOM"),
    // As Redis 6.2 has them, where the script catches the error and where it does not.
    ("=[C]: -1: -READONLY You can't write against a read only replica. \n", "READONLY"),
    ("=[C]: -1: -OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM"),
    ("=[C]: -1: -MISCONF Redis is configured to save RDB snapshots", "MISCONF"),
    ("@user_script: 240: -OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM"),
    (
      "ERR Error running script (call to f_0a1b): @user_script:7: @user_script: 7: "
        + "-READONLY You can't write against a read only replica.\r\n", "READONLY"
    ),
  ]

  @Test(arguments: refusals)
  func `an error that precedes any effect counts as rejected`(
    message: String, word: String
  ) {
    guard let text = StoreError(message).refusal else {
      Issue.record("\(message) is \(StoreError(message))")
      return
    }
    #expect(text.contains("(\(word))"), "\(text)")
  }

  @Test(arguments: refusals)
  func `an error that means another server is distinguished from one of the right server`(
    message: String, word: String
  ) {
    let ofRightServer = [
      "OOM", "MISCONF", "BUSY", "UNKILLABLE", "NOREPLICAS", "NOAUTH", "WRONGPASS", "NOPERM",
    ]
    switch StoreError(message) {
    case .wrongServer, .elsewhere: #expect(!ofRightServer.contains(word))
    default: #expect(ofRightServer.contains(word))
    }
  }

  @Test(arguments: [
    ("WRONGTYPE Operation against a key", "a key of another type"),
    ("WRONGTYPE -OOM", "a key of another type"),
    ("@user_script: 9: -WRONGTYPE Operation", "a key of another type"),
    ("CORRUPT clocks", "its clocks"), ("CORRUPT", "its record"),
  ])
  func `a value that a worker does not write is corrupt`(message: String, what: String) {
    #expect(StoreError(message) == .corrupt(what))
  }

  @Test func `the record of a lock is named by its key`() {
    let message = "BADLOCK lk:{0a3}:held:d is corrupt; CLEAR or SEIZE repairs it"
    #expect(StoreError(message) == .corruptLock("lk:{0a3}:held:d"))
  }

  @Test(arguments: ["NOSCRIPT No matching script. Please use EVAL.", "NOSCRIPT"])
  func `a missing script is recognised`(message: String) {
    #expect(StoreError(message) == .scriptMissing)
  }

  @Test(arguments: [
    "ERR unknown command", "", " ", "ERR", "noscript",
    "NOSCRIPTX", "OOMX", "BUSYGROUP Consumer Group name already exists", "ERR NOSCRIPT", "ERR OOM",
    "EXECABORT", "MOVEDX 1 h:1", "err oom",
    "@user_script:12: attempt to index a nil value", "=[C]: -1: bad argument",
    "@user_script: 3: -1 is no -number", "CORRUPTED",
  ])
  func `anything else failed on its way`(message: String) {
    #expect(StoreError(message) == .failed(message))
  }
}
