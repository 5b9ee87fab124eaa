// Owns: the idempotency key of a request with `req=`, and its fingerprint. Lives during one call of
// the verb, on the loop's thread.

internal import Access
internal import Events
internal import Loop
internal import RedisConnection
internal import Wire

extension Call {
  /// The idempotency key as the scripts take it: the principal and its id, a space and the
  /// fingerprint; nil without `req=`.
  ///
  /// An id is the principal's own. Without authentication all callers share their ids.
  var requestKey: [UInt8]? {
    guard let id = option(.req) else { return nil }
    var key: [UInt8] = []
    if let principal = caller.principal {
      key += Array(principal.name.utf8)
      key.append(UInt8(ascii: "/"))
    }
    key += id
    key.append(UInt8(ascii: " "))
    return key + Array(RequestFingerprint.text(of: self).utf8)
  }

  /// The same for a script.
  var req: ArgumentText? { requestKey.map { .owned($0) } }

  /// The same as text; empty without one.
  var requestKeyText: String { requestKey.map { String(decoding: $0, as: UTF8.self) } ?? "" }
}

/// A hash of a request: two requests with the same one are the same request.
enum RequestFingerprint {
  /// 32 hexadecimal digits, of the verb, its words, its options in any order, and its payload.
  ///
  /// Numbers are hashed by value: `ttl=60` and `ttl=1m` are the same. A payload is hashed byte for
  /// byte.
  static func text(of call: borrowing Call) -> String {
    let (arguments, verb) = (call.arguments, call.verb)
    var parts = Parts()
    parts.add(verb.name.utf8)
    parts.add("\(arguments.words.count)".utf8)
    for index in arguments.words.indices { parts.add(call.word(index)) }
    for option in OptionName.allCases where option.isPartOfRequest {
      guard let argument = arguments[option] else { continue }
      parts.add(option.text.utf8)
      if option.kind.isNumber {
        parts.add("\(argument.number)".utf8)
      } else if let bytes = call.option(option) {
        parts.add(bytes)
      }
    }
    let payload = call.payload ?? UnsafeBufferPointer(start: nil, count: 0)
    return parts.bytes.withUnsafeBufferPointer { Hex.text(Digest.sha256Prefix($0, payload)) }
  }
}
