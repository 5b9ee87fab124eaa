// Owns: the tests of the values: URLs, addresses, signatures, CloudEvents and delays.

import Foundation
import Testing

@testable import Loop
@testable import Webhooks

struct AddressPolicyTests {
  private static let rows: [(String, String)] = [
    ("1.1.1.1", "public"), ("172.15.255.255", "public"), ("172.32.0.1", "public"),
    ("100.63.255.255", "public"), ("100.128.0.1", "public"), ("223.255.255.254", "public"),
    ("10.0.0.1", "private"), ("172.16.0.1", "private"), ("172.31.255.255", "private"),
    ("192.168.1.1", "private"), ("100.64.0.1", "private"), ("100.127.255.255", "private"),
    ("198.18.0.1", "private"), ("127.0.0.1", "loopback"), ("127.255.255.255", "loopback"),
    ("0.0.0.0", "reserved"), ("0.1.2.3", "reserved"), ("169.254.169.254", "reserved"),
    ("100.100.100.200", "reserved"), ("168.63.129.16", "reserved"), ("192.0.0.192", "reserved"),
    ("192.0.2.1", "reserved"), ("198.51.100.1", "reserved"), ("203.0.113.1", "reserved"),
    ("224.0.0.1", "reserved"), ("239.255.255.255", "reserved"), ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"), ("192.88.99.1", "reserved"),
    ("2606:4700::1111", "public"), ("::1", "loopback"), ("::", "reserved"), ("::2", "reserved"),
    ("::7f00:1", "reserved"), ("::ffff:127.0.0.1", "loopback"), ("::ffff:10.0.0.1", "private"),
    ("::ffff:169.254.169.254", "reserved"), ("::ffff:8.8.8.8", "public"),
    ("64:ff9b::8.8.8.8", "public"), ("64:ff9b::10.0.0.1", "private"),
    ("64:ff9b::127.0.0.1", "reserved"), ("64:ff9b::169.254.169.254", "reserved"),
    ("64:ff9b:1::8.8.8.8", "private"), ("2002:0a00:0001::1", "private"),
    ("2002:7f00:0001::1", "reserved"), ("2002:0808:0808::1", "public"), ("2001::1", "reserved"),
    ("2001:db8::1", "reserved"), ("3fff::1", "reserved"), ("fc00::1", "private"),
    ("fd12:3456::1", "private"), ("fd00:ec2::254", "reserved"), ("fe80::1", "reserved"),
    ("febf::1", "reserved"), ("fec0::1", "private"), ("ff02::1", "reserved"),
    ("100::1", "reserved"), ("4000::1", "reserved"), ("5f00::1", "reserved"),
  ]

  @Test(arguments: rows)
  func `each range has its class`(address: String, expected: String) throws {
    let bytes = try #require(AddressPolicy.bytes(ofLiteral: address))
    #expect("\(AddressClass(bytes))".prefix { $0 != "(" } == expected)
  }

  @Test(arguments: rows)
  func `what a policy allows is what it names`(address: String, kind: String) throws {
    let bytes = try #require(AddressPolicy.bytes(ofLiteral: address))
    for (isPrivate, isLoopback) in [(false, false), (false, true), (true, false), (true, true)] {
      let policy = AddressPolicy(allowsPrivate: isPrivate, allowsLoopback: isLoopback)
      let isAllowed =
        kind == "public" || kind == "private" && isPrivate || kind == "loopback" && isLoopback
      #expect((policy.refusal(bytes) == nil) == isAllowed, "\(address), \(policy)")
    }
  }

  @Test func `what is neither IPv4 nor IPv6 is refused`() {
    let policy = AddressPolicy(allowsPrivate: true, allowsLoopback: true)
    #expect(policy.refusal([]) != nil && policy.refusal([1, 2, 3]) != nil)
  }
}

struct WebhookAddressTests {
  private static let policy = AddressPolicy(allowsPrivate: false, allowsLoopback: false)

  @Test(arguments: [
    ("https://example.com", "https://example.com/"),
    ("HTTPS://Example.COM/A", "https://example.com/A"),
    ("http://example.com:8080?x", "http://example.com:8080/?…"),
    ("https://u:p@example.com/a?key=s3cret&b", "https://example.com/a?key=…&…"),
    ("https://a_b.xn--bcher-kva.example./x", "https://a_b.xn--bcher-kva.example./x"),
    ("https://1.1.1.1/", "https://1.1.1.1/"),
    ("https://[2606:4700::1111]:0443/x", "https://[2606:4700::1111]:443/x"),
  ])
  func `a URL is shown without its secrets`(url: String, shown: String) throws {
    let address = try WebhookAddress(url, Self.policy)
    #expect(address.shown == shown)
    #expect(address.text == url)
  }

  @Test(arguments: [
    ("", "bytes"), (String(repeating: "x", count: 2_049), "bytes"), ("example.com", "https://"),
    ("ftp://example.com/", "https://"), ("file:///etc/passwd", "https://"),
    ("gopher://x", "https://"), ("https://", "no host"), ("https:///x", "no host"),
    ("https://exa mple.com/", "percent-encoded"), ("https://exämple.com/", "percent-encoded"),
    ("https://example.com/\r\nX: y", "percent-encoded"),
    ("https://example.com\\@a/", "percent-encoded"),
    ("https://example.com/#x", "fragment"), ("https://example.com:0/", "port"),
    ("https://example.com:65536/", "port"), ("https://example.com:/", "port"),
    ("https://example.com:+1/", "port"), ("https://[::1/", "no ]"),
    ("https://[::1]x/", "port"), ("https://[1.1.1.1]/", "no host"), ("https://2606::1/", "port"),
    ("https://[fe80::1%25eth0]/", "no host"), ("https://a..b/", "no host"),
    ("https://2130706433/", "no host"), ("https://0x7f.1/", "no host"),
    ("https://127.1/", "no host"),
    ("https://1.1.1.1./", "no host"), ("https://0177.0.0.1/", "no host"),
    ("https://a@b@c/", "percent-encoded"),
    ("https://:p@example.com/", "no user"), ("https://u%0a:p@example.com/", "percent-encoded"),
    ("https://127.0.0.1/", "loopback"), ("https://localhost/", "loopback"),
    ("https://a.LOCALHOST./", "loopback"), ("https://[::1]/", "loopback"),
    ("https://10.0.0.1/", "--hooks-private"), ("https://[fd00::1]/", "--hooks-private"),
    ("https://169.254.169.254/", "link-local"), ("https://[::ffff:10.0.0.1]/", "--hooks-private"),
  ])
  func `a URL that is refused says why, and does not show itself`(url: String, part: String) {
    #expect {
      try WebhookAddress(url, Self.policy)
    } throws: { error in
      "\(error)".contains(part)
    }
  }

  @Test func `an address of this machine or a private network is taken where it is allowed`() throws
  {
    let policy = AddressPolicy(allowsPrivate: true, allowsLoopback: true)
    for url in ["http://localhost:1/", "http://127.0.0.1/", "http://10.0.0.1/", "http://[::1]/"] {
      #expect(throws: Never.self) { try WebhookAddress(url, policy) }
    }
  }
}

struct WebhookSignatureTests {
  @Test func `the signature is that of other programs`() {
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_1
    #expect(
      WebhookSignature.header(
        secret: Array("whsec_1".utf8), unixSeconds: 1_700_000_000, body: Array("{\"a\":1}".utf8))
        == "t=1700000000,v1=2bacf7b77f8a947e36777d445799846ce8389284516e77b94f239ef893b8def7")
  }
}

struct CloudEventTests {
  @Test func `an event has CloudEvents' members and its own as data`() throws {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    let data =
      #"{"id":"q-1-0","type":"lock.abandoned","device":"d1","at":1700000000123,"agent":"a","#
      + #""trace":"\#(trace)"}"#
    let event = CloudEvent(
      id: "q-1-0", type: "lock.abandoned", device: Array("d1".utf8), data: Array(data.utf8))
    let body = String(
      decoding: event.body(source: CloudEvent.source(fleet: "01F")), as: UTF8.self)
    #expect(
      body == #"{"specversion":"1.0","id":"q-1-0","source":"urn:latchkey:01F","#
        + #""type":"lock.abandoned","subject":"d1","time":"2023-11-14T22:13:20.123Z","#
        + #""datacontenttype":"application/json","#
        + #""traceparent":"\#(trace)","#
        + #""data":\#(data)}"#)
    #expect((try JSONSerialization.jsonObject(with: Data(body.utf8))) is [String: Any])
  }

  @Test func `what an event does not have is omitted`() {
    let event = CloudEvent(id: "x", type: "events.lost", device: nil, data: Array("{}".utf8))
    #expect(
      String(decoding: event.body(source: "s"), as: UTF8.self)
        == #"{"specversion":"1.0","id":"x","source":"s","type":"events.lost","#
        + #""datacontenttype":"application/json","data":{}}"#)
  }
}

struct RetryDelaysTests {
  /// All bits of its number, again and again.
  private struct Fixed: RandomNumberGenerator {
    let bits: UInt64
    mutating func next() -> UInt64 { bits }
  }

  @Test func `delays double up to a minute, and are up to a quarter longer`() {
    var least = Fixed(bits: 0)
    let delays = (1...9).map { RetryDelays.delayMs(afterAttempts: $0, using: &least) }
    #expect(delays == [1, 2, 4, 8, 16, 32, 60, 60, 60].map { $0 * 1_000 })
    var most = Fixed(bits: .max)
    #expect(RetryDelays.delayMs(afterAttempts: 1, using: &most) == 1_249)
    #expect(RetryDelays.delayMs(afterAttempts: .max, using: &most) == 74_999)
  }

  @Test func `Retry-After makes a delay longer, and no longer than a minute`() {
    var least = Fixed(bits: 0)
    for (after, expected) in [(0, 2_000), (1_000, 2_000), (9_000, 9_000), (86_400_000, 60_000)] {
      #expect(
        RetryDelays.delayMs(afterAttempts: 2, retryAfterMs: Int64(after), using: &least) == expected
      )
    }
  }
}
