// Owns: the tests of patterns, of secrets' hashes, and of the principals' file.

import Testing

@testable import Access
@testable import Settings

struct AccessTests {
  private func refusal(_ text: String) -> String? {
    do throws(PrincipalFileError) {
      _ = try PrincipalFile.parse(text)
      return nil
    } catch {
      return error.description
    }
  }

  private static func line(_ name: String, _ grants: String...) throws -> NewPrincipal {
    try NewPrincipal(name: name, secret: nil, grants: grants)
  }

  private func authenticate(_ principals: Principals, _ secret: String) -> Principal? {
    Array(secret.utf8).withUnsafeBufferPointer { principals.authenticate($0) }
  }

  // MARK: Patterns

  static let matching: [(pattern: String, yes: [String], no: [String])] = [
    ("*", ["a", "", "d-1:x@y"], []),
    ("d-1", ["d-1"], ["d-", "d-11", "D-1", "", "xd-1"]),
    ("d-*", ["d-", "d-1", "d-d-*"], ["d", "e-1", "xd-1"]),
    ("*-x", ["-x", "a-x", "-x-x"], ["x", "a-x1", "a-X"]),
    ("a*b*c", ["abc", "aXbYc", "abbcc", "abcbc"], ["ab", "acb", "abcd", "bc"]),
    ("**", ["", "a"], []),
    ("a**b", ["ab", "axb"], ["a", "b", "ba"]),
    ("*a*", ["a", "bab", "aa"], ["", "b"]),
    ("a\\*b", ["a*b"], ["ab", "axb", "a%2Ab", "a**b"]),
    ("\\**", ["*", "*a", "**"], ["", "a*"]),
    ("(a)!'*", ["(a)!'", "(a)!'x"], ["a!'"]),
  ]

  @Test(arguments: matching.indices)
  func `a star stands for any characters, everything else for itself`(index: Int) throws {
    let row = Self.matching[index]
    let pattern = try #require(Pattern(row.pattern))
    for text in row.yes { #expect(pattern.matches(text), "\(row.pattern) \(text)") }
    for text in row.no { #expect(!pattern.matches(text), "\(row.pattern) \(text)") }
  }

  @Test func `a pattern that looks back often ends soon`() throws {
    let pattern = try #require(Pattern(String(repeating: "a*", count: 63) + "b"))
    #expect(!pattern.matches(String(repeating: "a", count: 512)))
  }

  @Test func `where devices are UUIDs a pattern's capitals are small letters`() throws {
    let new = try Self.line("app", "devices=550E8400-*,A\\*B", "links=user=A*")
    for (kind, sees) in [(DeviceIDs.uuid, true), (.any, false)] {
      let principals = try PrincipalFile.parse(new.line, deviceIDs: kind)
      let app = try #require(principals["app"])
      #expect(app.sees(Array("550e8400-e29b-41d4-a716-446655440000".utf8)) == sees)
      #expect(app.sees(Array("a*b".utf8)) == sees && app.sees(Array("A*B".utf8)) != sees)
      #expect(app.sees(kind: "user", ref: "Ab") && !app.sees(kind: "user", ref: "ab"))
    }
  }

  @Test(arguments: [
    "", "a b", "a/b", "ä", "a\"", "{a}", "a,b", "\\", "a\\", "\\a", "\\\\", "\\\\*",
    String(repeating: "a", count: 513),
  ])
  func `a pattern that no id can match is invalid`(text: String) {
    #expect(Pattern(text) == nil)
  }

  @Test func `a pattern of links has a kind and a ref`() throws {
    let users = try #require(LinkPattern("user=a-*"))
    #expect(users.matches(kind: "user", ref: "a-1"))
    #expect(!users.matches(kind: "user", ref: "b-1"))
    #expect(!users.matches(kind: "users", ref: "a-1"))
    #expect(try #require(LinkPattern("*")).matches(kind: "any", ref: "thing"))
    #expect(try #require(LinkPattern("*=x")).matches(kind: "any", ref: "x"))
    for text in ["", "user", "user=", "=a", "user=a=b", "a b=c"] {
      #expect(LinkPattern(text) == nil, "\(text)")
    }
  }

  @Test(
    arguments: [
      ("links=user=ada", "=ada", "ada"), ("links=user=ada,tag=*", "=ada", "ada"),
      ("links=user=ada,user=bob", "=ada=bob", nil),
      ("links=user=a-*.b,user=c", "?a%-.-%.b=c", nil), ("links=user=a\\*", "=a*", "a*"),
    ] as [(String, String, String?)])
  func `the users of a principal's link patterns are known`(
    links: String, text: String, only: String?
  ) throws {
    let principals = try PrincipalFile.parse(try Self.line("app", links).line)
    let users = try #require(principals["app"]?.users)
    #expect(users.text == text && users.onlyUser == only && users.named == nil)
  }

  @Test func `users are those that a pattern fits, and the one that a request names`() throws {
    let line = try Self.line("app", "links=user=a-*,user=bob").line
    let app = try #require(PrincipalFile.parse(line)["app"])
    let users = try #require(app.users)
    #expect(users.has("a-1") && users.has("bob") && !users.has("b") && !users.has("bobby"))
    #expect(users.has(anyOf: [Array("x".utf8), Array("bob".utf8)]) && !users.has(anyOf: []))
    let named = UserScope(named: "a-*")
    #expect(named.has("a-*") && !named.has("a-1") && named.text == "=a-*")
    #expect(app.allows(users) && app.allows(named) && !app.allows(nil))
    #expect(!app.allows(UserScope(named: "carl")))
    let other = try #require(
      PrincipalFile.parse(try Self.line("app", "links=user=a-*").line)["app"])
    #expect(!other.allows(users))
  }

  @Test(arguments: ["links=*", "links=user=*", "links=tag=x", "links=user=ada,*", ""])
  func `links that name no user, or each, limit nothing`(links: String) throws {
    let grants = links.isEmpty ? ["rights=read"] : [links]
    let new = try NewPrincipal(name: "app", secret: nil, grants: grants)
    #expect(try PrincipalFile.parse(new.line)["app"]?.users == nil)
  }

  // MARK: Secrets

  @Test func `a new principal's secret is valid for it alone`() throws {
    let new = try Self.line("app", "rights=read,write", "devices=d-*", "links=user=u*")
    let other = try Self.line("other", "rights=operate")
    let principals = try PrincipalFile.parse("\(new.line)\n\(other.line)\n")
    let principal = try #require(authenticate(principals, new.secret))
    #expect(principal.name == "app")
    #expect(principal.rights == [.read, .write])
    #expect(authenticate(principals, other.secret)?.name == "other")
    for wrong in [
      "", "app", "app.", new.secret + "0", String(new.secret.dropLast()),
      new.secret.replacing("app.", with: "other."), new.secret.uppercased(), "unknown.x", ".",
    ] {
      #expect(authenticate(principals, wrong) == nil, "\(wrong)")
    }
  }

  @Test func `two secrets of the same name differ, and so do two hashes of one secret`() throws {
    let (first, second) = (try Self.line("app"), try Self.line("app"))
    #expect(first.secret != second.secret)
    let again = try NewPrincipal(name: "app", secret: first.secret, grants: [])
    #expect(again.secret == first.secret && again.line != first.line)
    #expect(!first.line.contains(first.secret.dropFirst(4)))
  }

  @Test func `while one secret replaces another both are right`() throws {
    let (old, new) = (try Self.line("app"), try Self.line("app"))
    let hashes = [old, new].map { String($0.line.split(separator: " ")[1]) }
    let principals = try PrincipalFile.parse("app \(hashes.joined(separator: ","))")
    #expect(authenticate(principals, old.secret) != nil)
    #expect(authenticate(principals, new.secret) != nil)
  }

  @Test(arguments: [
    "app", "app.short", "other.0123456789012345678901234567890123",
    "app.0123456789 123456789012345",
    "app." + String(repeating: "x", count: 1_025),
  ])
  func `a secret that can be guessed, or is another's, is refused`(secret: String) {
    #expect(throws: PrincipalFileError.self) {
      try NewPrincipal(name: "app", secret: secret, grants: [])
    }
  }

  // MARK: The file

  @Test func `granted devices are visible, and no others`() throws {
    let text = try """
    # the callers

    \(Self.line("all", "rights=read", "devices=*", "links=*").line)
    \t\(Self.line("some", "devices=a-*,b-1").line)\r
    \(Self.line("none").line)
    """
    let principals = try PrincipalFile.parse(text)
    #expect(principals.count == 3)
    let (all, some, none) = (principals["all"], principals["some"], principals["none"])
    #expect(all?.seesAllDevices == true && some?.seesAllDevices == false)
    #expect(all?.sees(kind: "user", ref: "x") == true)
    #expect(some?.sees(kind: "user", ref: "x") == false)
    #expect(some?.rights == [] && none?.rights == [])
    for (device, isSeen) in [("a-1", true), ("b-1", true), ("b-2", false), ("", false)] {
      #expect(some?.sees(Array(device.utf8)) == isSeen, "\(device)")
      #expect(none?.sees(Array(device.utf8)) == false)
    }
  }

  @Test func `a wrong line is rejected with its number and the allowed form`() throws {
    let good = try Self.line("good").line
    let hash = good.split(separator: " ")[1]
    for (line, rule) in [
      ("na.me \(hash)", "a name is"), ("app", "hash of a secret"),
      ("app hunter2", "hash of a secret"),
      ("app \(hash),hunter2", "hash of a secret"), ("app \(hash.dropLast())", "hash of a secret"),
      ("app \(hash) rights=all", "rights= takes"), ("app \(hash) rights=", "rights= takes"),
      ("app \(hash) devices=a/b", "devices= takes"), ("app \(hash) devices=a,,b", "devices= takes"),
      ("app \(hash) links=user", "links= takes"), ("app \(hash) right=read", "after the hash"),
      ("app \(hash) read", "after the hash"), ("app \(hash) rights=read rights=read", "after the"),
      (good, "earlier line"),
    ] {
      let text = try #require(refusal("# a comment\n\(good)\n\n\(line)\n"), "\(line)")
      #expect(text.hasPrefix("line 4: ") && text.contains(rule), "\(line): \(text)")
      #expect(!text.contains("hunter2") && !text.contains(hash), "\(text)")
    }
    #expect(refusal("")?.contains("no principal") == true)
    #expect(refusal("# none\n")?.contains("no principal") == true)
  }
}
