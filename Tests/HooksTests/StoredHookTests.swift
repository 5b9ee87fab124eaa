// Owns: the tests of what Redis keeps of a hook, and what is shown of it.

import Loop
import Seal
import Testing

@testable import Hooks

struct StoredHookTests {
  private static let url = "https://ada:pass@a.example:8443/in?token=t#x"

  private static func hook(secret: String? = "s t") throws -> HookDefinition {
    try #require(
      HookDefinition(
        name: "h", url: url, shownURL: "https://a.example:8443/in?…",
        secret: secret.map { Array($0.utf8) },
        types: ["lock.abandoned", "turn.abandoned"], devices: "eu-*", madeAtMs: 5))
  }

  private static func seal(_ byte: UInt8 = 1) throws -> Seal {
    let key = String(decoding: Base64.text(Array(repeating: byte, count: 32)), as: UTF8.self)
    return Seal(try SealKeys(parsing: Array("k\(byte):\(key)".utf8)), namespace: "lk")
  }

  @Test func `a definition comes back as it was, sealed or not`() throws {
    for secret in ["s t", nil] {
      let hook = try Self.hook(secret: secret)
      let seal = try Self.seal()
      for kept in [nil, seal] {
        let text = StoredHook.text(hook, kept)
        #expect(StoredHook.hook("h", text, kept) == hook)
        let shown = try #require(StoredHook.shown("h", text))
        #expect(shown.url == "https://a.example:8443/in?…" && shown.isSigned == (secret != nil))
        #expect(shown.types == hook.types && shown.devices == "eu-*" && shown.madeAtMs == 5)
        let seen = String(decoding: text, as: UTF8.self)
        for part in ["pass", "token=t", "s t"] { #expect(!seen.contains(part)) }
      }
      let sealed = StoredHook.text(hook, seal)
      #expect(StoredHook.hook("h", sealed, nil) == nil)
      #expect(StoredHook.hook("h", sealed, try Self.seal(2)) == nil)
      #expect(StoredHook.hook("other", sealed, seal) == nil, "it opens at its place only")
    }
  }

  @Test(arguments: ["", "1", "2 5 * * http://a - YQ==", "1 x * * http://a - YQ==", "1 5 * * u - !"])
  func `a corrupt definition is none`(text: String) {
    #expect(StoredHook.hook("h", Array(text.utf8), nil) == nil)
  }

  @Test func `what Redis keeps has two revisions before the text`() {
    let kept = KeptHook(name: "h", value: Array("12 34 1 5 * * u - !".utf8))
    #expect(kept.revision == HookRevision(made: 12, changed: 34))
    #expect(kept.text == Array("1 5 * * u - !".utf8))
    for corrupt in ["", "12", "12 34", "x 34 text", "12 x text", " "] {
      let kept = KeptHook(name: "h", value: Array(corrupt.utf8))
      #expect(kept.revision == .unknown && kept.text.isEmpty, "\(corrupt)")
    }
  }

  @Test func `a listing that was overtaken is known by its time, unless the clock was set back`() {
    let areOvertaken = [5_000, 14_999, 15_000, 24_999, 25_000, 90_000].map {
      HookListing.isOvertaken(atMs: 15_000, by: $0)
    }
    #expect(areOvertaken == [false, false, false, true, false, false])
  }

  @Test func `events are chosen by type and device`() throws {
    let hook = try Self.hook()
    let wants = { (type: String, device: String) in
      hook.wants(type: Array(type.utf8), device: Array(device.utf8))
    }
    #expect(wants("lock.abandoned", "eu-1") && wants("turn.abandoned", "eu-"))
    #expect(!wants("lock.seized", "eu-1") && !wants("lock.abandoned", "us-1"))
    let all = try #require(
      HookDefinition(
        name: "h", url: "http://a", shownURL: "http://a", secret: nil, types: nil, devices: nil,
        madeAtMs: 0))
    #expect(all.wants(type: Array("session.opened".utf8), device: [97]))
    let bad = HookDefinition(
      name: "h", url: "http://a", shownURL: "http://a", secret: nil, types: nil, devices: "{",
      madeAtMs: 0)
    #expect(bad == nil)
  }
}
