// Owns: what a hook is, and the text that Redis keeps of it. Values; any thread.

internal import Access
internal import Loop
package import Seal
internal import SessionModel

/// A hook: where events go, and which.
package struct HookDefinition: Sendable, Equatable {
  package let name: String
  /// The address as it was given; its userinfo and its query may be secret.
  package let url: String
  /// The address without its secret parts.
  package let shownURL: String
  /// By which each request is signed; nil: none is.
  package let secret: [UInt8]?
  /// The types of the events that are sent; nil for all.
  package let types: [String]?
  /// The devices whose events are sent, a pattern as principals have it; nil for all.
  package let devices: String?
  /// In ms since 1970.
  package let madeAtMs: Int64
  private let pattern: Pattern?

  /// Nil if `devices` is no pattern.
  package init?(
    name: String, url: String, shownURL: String, secret: [UInt8]?, types: [String]?,
    devices: String?,
    madeAtMs: Int64
  ) {
    (self.name, self.url, self.shownURL, self.secret) = (name, url, shownURL, secret)
    (self.types, self.devices, self.madeAtMs) = (types, devices, madeAtMs)
    pattern = devices.flatMap { Pattern($0) }
    if devices != nil, pattern == nil { return nil }
  }

  /// Whether an event goes to it.
  package func wants(type: [UInt8], device: [UInt8]) -> Bool {
    if let types, !types.contains(where: { $0.utf8.elementsEqual(type) }) { return false }
    return pattern.map { pattern in device.withUnsafeBufferPointer { pattern.matches($0) } } ?? true
  }

  /// How many hooks there may be: each is a group in every partition's log.
  package static let hooksMax: Int64 = 16

  /// The group of a hook in the logs: no caller's group has a slash in its name.
  package static let groupPrefix = "hook/"
  package static func group(of name: String) -> String { groupPrefix + name }
  package var group: String { HookDefinition.group(of: name) }
}

/// A hook as everyone may see it.
package struct ShownHook: Sendable, Equatable {
  package let name: String
  /// The address without its secret parts.
  package let url: String
  package let types: [String]?
  package let devices: String?
  package let isSigned: Bool
  package let madeAtMs: Int64
}

/// A hook as Redis keeps it.
package struct KeptHook: Sendable, Equatable {
  package let name: String
  package let revision: HookRevision
  /// As `StoredHook` has it; empty if what Redis has is corrupt.
  package let text: [UInt8]

  /// Takes what Redis keeps apart: two revisions and the text.
  package init(name: String, value: some Sequence<UInt8>) {
    self.name = name
    let words = Array(value).split(separator: UInt8(ascii: " "), maxSplits: 2)
    guard words.count == 3, let made = Int64(String(decoding: words[0], as: UTF8.self)),
      let changed = Int64(String(decoding: words[1], as: UTF8.self))
    else {
      (revision, text) = (.unknown, [])
      return
    }
    (revision, text) = (HookRevision(made: made, changed: changed), Array(words[2]))
  }
}

/// What Redis keeps of a hook, as docs/keys.md has it: the public part, then the private one: the
/// Base64 of address and secret with a zero between, or the same sealed.
package enum StoredHook {
  private static let version = "1"

  /// The text to keep; sealed, if there is a seal.
  package static func text(_ hook: HookDefinition, _ seal: Seal?) -> [UInt8] {
    let words = [
      version, "\(hook.madeAtMs)", hook.types?.joined(separator: ",") ?? "*", hook.devices ?? "*",
      hook.shownURL, hook.secret == nil ? "-" : "+",
    ]
    let inside = Base64.text(Array(hook.url.utf8) + [0] + (hook.secret ?? []))
    let kept =
      seal.map { seal in inside.withUnsafeBufferPointer { seal.seal($0, at: place(hook.name)) } }
      ?? inside
    return Array((words.joined(separator: " ") + " ").utf8) + kept
  }

  /// The public part; nil if the text is corrupt.
  package static func shown(_ name: String, _ text: [UInt8]) -> ShownHook? {
    let words = words(text)
    guard words.count == 7, words[0] == version, let madeAtMs = Int64(words[1]) else { return nil }
    return ShownHook(
      name: name, url: words[4],
      types: words[2] == "*" ? nil : words[2].split(separator: ",").map(String.init),
      devices: words[3] == "*" ? nil : words[3], isSigned: words[5] == "+", madeAtMs: madeAtMs)
  }

  /// The whole; nil if it is corrupt, or sealed by a key that this worker has not.
  package static func hook(_ name: String, _ text: [UInt8], _ seal: Seal?) -> HookDefinition? {
    guard let shown = shown(name, text) else { return nil }
    let kept = Array(text.split(separator: UInt8(ascii: " "), maxSplits: 6)[6])
    let inside = kept.withUnsafeBufferPointer { bytes in
      SealedValue.isOne(bytes) ? seal?.open(bytes, at: place(name)) : kept
    }
    guard let bytes = inside?.withUnsafeBufferPointer({ Base64.bytes($0) }),
      let zero = bytes.firstIndex(of: 0)
    else { return nil }
    return HookDefinition(
      name: name, url: String(decoding: bytes[..<zero], as: UTF8.self), shownURL: shown.url,
      secret: shown.isSigned ? Array(bytes[(zero + 1)...]) : nil, types: shown.types,
      devices: shown.devices, madeAtMs: shown.madeAtMs)
  }

  private static func words(_ text: [UInt8]) -> [String] {
    text.split(separator: UInt8(ascii: " "), maxSplits: 6)
      .map { String(decoding: $0, as: UTF8.self) }
  }

  private static func place(_ name: String) -> SealContext {
    SealContext(.hook, of: name.utf8)
  }
}
