// Owns: the idempotency key of a request with `req=`, and its fingerprint. Lives during one call of
// the verb, on the loop's thread; the fingerprint of a large request is its line reader's.

internal import Access
internal import Events
internal import Loop
internal import RedisConnection
internal import Wire

extension Call {
  /// The idempotency key as the scripts take it: the principal and its id, a space, the
  /// fingerprint, and where the request is limited to some users' sessions a space and these; nil
  /// without `req=`.
  ///
  /// An id is the principal's own. Without authentication all callers share their ids.
  var requestKey: [UInt8]? {
    guard let id = option(.req) else { return nil }
    var key: [UInt8] = []
    if let principal = caller.principal {
      key += Array(principal.key.utf8)
      key.append(UInt8(ascii: "/"))
    }
    key += id
    key.append(UInt8(ascii: " "))
    let fingerprint = read?.fingerprint ?? RequestFingerprint.text(of: verb, arguments, text)
    key += Array(fingerprint.utf8)
    // A retry shows a session only while these users may see it.
    if let scope { key += Array(" \(scope)".utf8) }
    return key
  }

  /// The same for a script; with the parent of the request's trace, behind a tab, for its events.
  var req: ArgumentText? {
    guard let trace = arguments.trace else { return requestKey.map { .owned($0) } }
    return .owned((requestKey ?? []) + [UInt8(ascii: "\t")] + trace)
  }

  /// The same as text; empty without one.
  var requestKeyText: String { requestKey.map { String(decoding: $0, as: UTF8.self) } ?? "" }
}

/// A hash of a request: two requests with the same one are the same request.
enum RequestFingerprint {
  /// 32 hexadecimal digits, of the verb, its words, its options in any order, and its payload.
  ///
  /// Numbers are hashed by value: `ttl=60` and `ttl=1m` are the same. A payload is hashed byte for
  /// byte.
  ///
  /// `text` is what the arguments' tokens point into.
  static func text(
    of verb: Verb, _ arguments: Arguments, _ text: UnsafeBufferPointer<UInt8>
  ) -> String {
    func bytes(_ range: Range<Int>) -> UnsafeBufferPointer<UInt8> {
      UnsafeBufferPointer(rebasing: text[range])
    }
    var parts = Parts()
    parts.add(verb.name.utf8)
    parts.add("\(arguments.words.count)".utf8)
    for word in arguments.words { parts.add(bytes(word.token.range)) }
    for option in OptionName.allCases where option.isPartOfRequest {
      guard let argument = arguments[option] else { continue }
      parts.add(option.text.utf8)
      if option.kind.isNumber {
        parts.add("\(argument.number)".utf8)
      } else {
        parts.add(bytes(argument.token.range))
      }
    }
    for link in arguments.links {
      parts.add("link".utf8)
      parts.add(bytes(link.kind.range))
      parts.add(bytes(link.ref.range))
    }
    let payload = bytes(arguments.payload ?? 0..<0)
    return parts.bytes.withUnsafeBufferPointer { Hex.text(Digest.sha256Prefix($0, payload)) }
  }
}
