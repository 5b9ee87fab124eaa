// Owns: the tests of the checks by which requests to the page are let in.

import Testing

@testable import Server

struct PageGuardTests {
  private let origin = PageGuard(hosts: ["Ops.Example"])

  @Test(arguments: [
    "localhost", "LOCALHOST:5283", "127.0.0.1:1", "10.1.2.3", "[::1]:5283", "[fe80::1]",
    "ops.example:443", "255.255.255.255",
  ])
  func `addresses, localhost and listed names are known`(host: String) {
    #expect(origin.hostRefusal(.init(host: host)) == nil)
  }

  @Test(arguments: [
    "", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0", "256.0.0.1",
    "1.2.3.4.5", "0x7f.0.0.1", "[evil]", "ops.example.evil", "xops.example",
  ])
  func `other names are refused`(host: String) {
    #expect(origin.hostRefusal(.init(host: host)) != nil)
  }

  @Test func `a resource needs the marker, and the page's own origin where one is said`() {
    func isRefused(_ origin: String?, _ site: String?, _ marker: String?) -> Bool {
      let fields = PageGuard.Fields(
        host: "localhost:1", origin: origin, site: site, marker: marker)
      return self.origin.refusal(fields) != nil
    }
    #expect(!isRefused(nil, nil, "1"))
    #expect(!isRefused("http://localhost:1", "same-origin", "1"))
    #expect(!isRefused("https://localhost:1", nil, "1"))
    #expect(isRefused(nil, nil, nil))
    #expect(isRefused("http://localhost:2", nil, "1"))
    #expect(isRefused("null", nil, "1"))
    for site in ["cross-site", "same-site", "none"] { #expect(isRefused(nil, site, "1")) }
  }

  @Test func `the page sends its own verbs, a line each`() {
    func refusal(_ text: String) -> String? { PageVerbs.refusal(Array(text.utf8)) }
    #expect(refusal("holder dev-1") == nil)
    #expect(refusal("CLEAR dev-1") == nil)
    for text in [
      "", "LOCK dev-1 a", "GET a\nCLEAR a", "GET a\r", "GET\t", "AUTH x", "GETX a", "GET a wait=1h",
      "GET a WAIT=1s",
    ] {
      #expect(refusal(text) != nil, "\(text)")
    }
    let most = "GET " + String(repeating: "x", count: PageVerbs.lineBytesMax - 4)
    #expect(refusal(most) == nil)
    #expect(refusal(most + "x") != nil)
  }
}
