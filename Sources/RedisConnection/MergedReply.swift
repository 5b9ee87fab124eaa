// Owns: a reply that is put together from copies of others, as several nodes give one each for what
// was one question. Runs on the connection's thread.

internal import CHiredis
internal import Glibc

/// A reply that lives as long as this object.
package final class MergedReply {
  private let root: UnsafeMutablePointer<redisReply>

  private init(_ root: UnsafeMutablePointer<redisReply>) { self.root = root }

  /// A copy of a reply, which is lent for a moment.
  package convenience init(copying reply: RedisReply) { self.init(MergedReply.copy(reply.raw)) }

  /// An array of these.
  package convenience init(_ elements: [MergedReply]) {
    let root = MergedReply.make(REDIS_REPLY_ARRAY)
    MergedReply.give(root, elements.map { MergedReply.copy($0.root) })
    self.init(root)
  }

  package convenience init(integer: Int64) {
    let root = MergedReply.make(REDIS_REPLY_INTEGER)
    root.pointee.integer = integer
    self.init(root)
  }

  package convenience init(text: String) {
    let root = MergedReply.make(REDIS_REPLY_STRING)
    let bytes = Array(text.utf8)
    bytes.withUnsafeBytes { MergedReply.give(root, text: $0) }
    self.init(root)
  }

  deinit { MergedReply.free(root) }

  /// Lends the reply.
  package func lend<Value>(_ body: (RedisReply) -> Value) -> Value {
    withExtendedLifetime(self) { body(RedisReply(root)) }
  }

  // MARK: Memory

  private static func make(_ type: Int32) -> UnsafeMutablePointer<redisReply> {
    guard let memory = calloc(1, MemoryLayout<redisReply>.stride) else {
      preconditionFailure("out of memory")
    }
    let reply = memory.assumingMemoryBound(to: redisReply.self)
    reply.pointee.type = type
    return reply
  }

  private static func give(
    _ reply: UnsafeMutablePointer<redisReply>, text: UnsafeRawBufferPointer
  ) {
    guard let memory = malloc(text.count + 1) else { preconditionFailure("out of memory") }
    if let from = text.baseAddress { memcpy(memory, from, text.count) }
    let bytes = memory.assumingMemoryBound(to: CChar.self)
    bytes[text.count] = 0
    reply.pointee.str = bytes
    reply.pointee.len = .init(text.count)
  }

  private static func give(
    _ reply: UnsafeMutablePointer<redisReply>, _ elements: [UnsafeMutablePointer<redisReply>]
  ) {
    let size = MemoryLayout<UnsafeMutablePointer<redisReply>?>.stride
    guard let memory = calloc(max(1, elements.count), size) else {
      preconditionFailure("out of memory")
    }
    let list = memory.assumingMemoryBound(to: UnsafeMutablePointer<redisReply>?.self)
    for (place, element) in elements.enumerated() { list[place] = element }
    reply.pointee.element = list
    reply.pointee.elements = .init(elements.count)
  }

  private static func copy(
    _ other: UnsafeMutablePointer<redisReply>
  ) -> UnsafeMutablePointer<redisReply> {
    let reply = make(other.pointee.type)
    reply.pointee.integer = other.pointee.integer
    let view = RedisReply(other)
    if let text = other.pointee.str {
      give(reply, text: UnsafeRawBufferPointer(start: text, count: Int(other.pointee.len)))
    }
    if view.kind == .array { give(reply, view.elements.map { copy($0.raw) }) }
    return reply
  }

  private static func free(_ reply: UnsafeMutablePointer<redisReply>) {
    for element in RedisReply(reply).elements { free(element.raw) }
    Glibc.free(reply.pointee.element)
    Glibc.free(reply.pointee.str)
    Glibc.free(reply)
  }
}
