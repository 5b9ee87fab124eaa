// Owns: the view of one reply that hiredis has parsed, and the reader that parses them.
// A view is good only until its callback returns. Runs on the connection's thread.

internal import CHiredis

/// A parsed reply, lent for the length of a callback.
package struct RedisReply {
  private let reply: UnsafeMutablePointer<redisReply>

  init(_ reply: UnsafeMutablePointer<redisReply>) { self.reply = reply }

  /// Hiredis' own form of it.
  var raw: UnsafeMutablePointer<redisReply> { reply }

  fileprivate func free() { freeReplyObject(reply) }

  package enum Kind: Sendable { case text, array, integer, null, error }

  package var kind: Kind {
    switch reply.pointee.type {
    case REDIS_REPLY_ARRAY: .array
    case REDIS_REPLY_INTEGER: .integer
    case REDIS_REPLY_NIL: .null
    case REDIS_REPLY_ERROR: .error
    default: .text
    }
  }

  /// The bytes of a text or an error; empty for anything else.
  package var bytes: UnsafeBufferPointer<UInt8> {
    guard kind == .text || kind == .error, let start = reply.pointee.str else {
      return UnsafeBufferPointer(start: nil, count: 0)
    }
    let count = Int(reply.pointee.len)
    return UnsafeRawBufferPointer(start: start, count: count).assumingMemoryBound(to: UInt8.self)
  }

  /// The bytes as a String, for what is not on the hot path.
  package var text: String { String(decoding: bytes, as: UTF8.self) }

  /// An integer, or a text that is one.
  package var integer: Int64? {
    kind == .integer ? Int64(reply.pointee.integer) : Int64(text)
  }

  /// How many elements an array has; 0 for anything else.
  package var count: Int { kind == .array ? Int(reply.pointee.elements) : 0 }

  /// An element of an array.
  package subscript(index: Int) -> RedisReply {
    precondition(index < count, "element \(index) of a reply with \(count)")
    guard let element = reply.pointee.element?[index] else {
      preconditionFailure("hiredis gave an array without element \(index)")
    }
    return RedisReply(element)
  }

  /// The elements of an array, or none.
  package var elements: [RedisReply] { (0..<count).map { self[$0] } }
}

/// Parses what Redis sends, with hiredis' incremental reader.
struct ReplyReader: ~Copyable {
  private let reader: UnsafeMutablePointer<redisReader>

  init() {
    guard let reader = redisReaderCreate() else { preconditionFailure("out of memory") }
    self.reader = reader
  }

  deinit { redisReaderFree(reader) }

  /// The result of looking for the next reply.
  enum Outcome {
    case gave
    case needMore
    case garbage
  }

  /// Takes bytes in; false if they are not Redis' protocol.
  func feed(_ bytes: UnsafeRawBufferPointer) -> Bool {
    redisReaderFeed(reader, bytes.baseAddress, bytes.count) == REDIS_OK
  }

  /// Lends the next whole reply, if there is one; where `body` returns false, it keeps the reply.
  func next(_ body: (RedisReply) -> Bool) -> Outcome {
    var raw: UnsafeMutableRawPointer?
    guard redisReaderGetReply(reader, &raw) == REDIS_OK else { return .garbage }
    guard let raw else { return .needMore }
    let isOver = body(RedisReply(raw.assumingMemoryBound(to: redisReply.self)))
    if isOver { freeReplyObject(raw) }
    return .gave
  }
}

/// A reply that was kept, for as long as this object lives.
final class KeptRedisReply {
  let reply: RedisReply

  /// Takes over a reply that its reader does not free.
  init(_ reply: RedisReply) { self.reply = reply }

  deinit { reply.free() }
}
