// Owns: the tests of parsing a Redis URL, and of its errors.

import Loop
import RedisConnection
import Testing

struct RedisURLTests {
  private static func tcp(
    _ host: String, _ port: UInt16 = 6379, user: String? = nil, password: String? = nil,
    database: Int = 0, usesTLS: Bool = false
  ) -> RedisEndpoint {
    RedisEndpoint(
      address: .tcp(host: host, port: port), user: user, password: password, database: database,
      usesTLS: usesTLS)
  }

  static let good: [(String, RedisEndpoint)] = [
    ("redis://h", tcp("h")), ("redis://h:1", tcp("h", 1)), ("redis://h:65535", tcp("h", 65_535)),
    ("redis://redis.example.com:6380/15", tcp("redis.example.com", 6380, database: 15)),
    ("redis://h/", tcp("h")), ("redis://h:7/0", tcp("h", 7)),
    ("redis://127.0.0.1", tcp("127.0.0.1")),
    ("redis://[::1]", tcp("::1")), ("redis://[fe80::1]:7/2", tcp("fe80::1", 7, database: 2)),
    ("redis://:secret@h", tcp("h", password: "secret")),
    ("rediss://:secret@h:7/2", tcp("h", 7, password: "secret", database: 2, usesTLS: true)),
    ("redis://ann:secret@h:7/3", tcp("h", 7, user: "ann", password: "secret", database: 3)),
    ("redis://default@h", tcp("h", user: "default")),
    ("  redis://h:1\r\n", tcp("h", 1)), ("'redis://h:1'", tcp("h", 1)),
    ("\" redis://:s'@h \"\n", tcp("h", password: "s'")),
    ("redis://ann:@h", tcp("h", user: "ann", password: "")),
    ("redis://a%40b:p%3A%2f%25@h", tcp("h", user: "a@b", password: "p:/%")),
    ("redis://:p@ss:w/rd@h", tcp("h", password: "p@ss:w/rd")),
    ("redis://:%C3%BC@h", tcp("h", password: "ü")), ("redis://:ü@h", tcp("h", password: "ü")),
    ("redis://:s@[::1]:7", tcp("::1", 7, password: "s")),
    ("unix:///run/redis.sock", RedisEndpoint(address: .unix(path: "/run/redis.sock"))),
    ("unix:///r.sock?db=0", RedisEndpoint(address: .unix(path: "/r.sock"))),
    ("unix:///r.sock?db=9", RedisEndpoint(address: .unix(path: "/r.sock"), database: 9)),
    (
      "unix://ann:p%2Fw%40@/r@s.sock?db=2",
      RedisEndpoint(
        address: .unix(path: "/r@s.sock"), user: "ann", password: "p/w@", database: 2)
    ),
    (
      "unix://:secret@/r.sock",
      RedisEndpoint(address: .unix(path: "/r.sock"), password: "secret")
    ),
    ("unix:///with space/ü%20", RedisEndpoint(address: .unix(path: "/with space/ü%20"))),
    ("redis-sentinel://h/m", sentinel([("h", 26_379)], "m")),
    (
      "redis-sentinel://ann:p@ss@a:1,b,[::1]:7/my-master_1.x/3",
      sentinel(
        [("a", 1), ("b", 26_379), ("::1", 7)], "my-master_1.x", user: "ann", password: "p@ss",
        database: 3)
    ),
    ("rediss-sentinel://h:7/m/", sentinel([("h", 7)], "m", usesTLS: true)),
    ("redis-cluster://h", cluster([("h", 6379)])), ("redis-cluster://h/", cluster([("h", 6379)])),
    (
      "rediss-cluster://:s@a:1,b,c:3/0",
      cluster([("a", 1), ("b", 6379), ("c", 3)], password: "s", usesTLS: true)
    ),
  ]

  private static func addresses(_ hosts: [(String, UInt16)]) -> [Address] {
    hosts.map { .tcp(host: $0.0, port: $0.1) }
  }

  private static func sentinel(
    _ hosts: [(String, UInt16)], _ master: String, user: String? = nil, password: String? = nil,
    database: Int = 0, usesTLS: Bool = false
  ) -> RedisEndpoint {
    RedisEndpoint(
      topology: .sentinel(addresses(hosts), master: master), user: user, password: password,
      database: database, usesTLS: usesTLS)
  }

  private static func cluster(
    _ hosts: [(String, UInt16)], password: String? = nil, usesTLS: Bool = false
  ) -> RedisEndpoint {
    RedisEndpoint(topology: .cluster(addresses(hosts)), password: password, usesTLS: usesTLS)
  }

  @Test func `a path that no socket can have is rejected with its length`() throws {
    let longest = "/" + String(repeating: "x", count: 106)
    #expect(try RedisEndpoint(url: "unix://\(longest)").address == .unix(path: longest))
    let error = #expect(throws: RedisURLError.self) {
      try RedisEndpoint(url: "unix://\(longest)x?db=1")
    }
    #expect(error?.text.contains("108 bytes") == true)
  }

  @Test(arguments: good)
  func `a good URL is read`(url: String, endpoint: RedisEndpoint) throws {
    #expect(try RedisEndpoint(url: url) == endpoint)
  }

  /// Each with a word of the reason.
  static let bad: [(String, String)] = [
    ("", "begins with"), ("h:6379", "begins with"), ("http://h", "begins with"),
    ("REDIS://h", "begins with"), ("redis:/h", "begins with"), ("redis:h", "begins with"),
    ("rediss://:hunter2@h?a=b", "no options"), ("redis+sentinel://h/m", "begins with"),
    ("redis-sentinel://:hunter2@h", "name"), ("redis-sentinel://:hunter2@h/", "name"),
    ("redis-sentinel://h//1", "name"), ("redis-sentinel://h/hunter2:x", "A-Z"),
    ("redis-sentinel://h/m/x", "as in redis-sentinel://"), ("redis-sentinel:///m", "host"),
    ("redis-sentinel://a,,b/m", "host"), ("redis-sentinel://a,b,a:26379/m", "a:26379 twice"),
    ("redis-sentinel://a:0,b/m", "port"), ("redis-sentinel://a/m?db=1", "no options"),
    ("redis-cluster://:hunter2@a/1", "no databases"), ("redis-cluster://", "redis-cluster://HOST"),
    ("redis-cluster://\((1...65).map { "h\($0)" }.joined(separator: ","))", "65 hosts"),
    ("'redis://:hunter2@h", "quote"), ("\"", "quote"), ("'redis://:hunter2@h\"", "quote"),
    ("redis://ann@h", "USER:PASSWORD"), ("redis://hunter2@h", "no password"),
    ("unix://hunter2@/r.sock", "no password"), ("redis://:hunter2@h?a=b", "no options"),
    ("redis://:hunter2@h/1?a=b@c", "%3F"), ("redis://:hunter2#@h", "%23"),
    ("redis://h#1", "no options"), ("redis://h h", "character"), ("redis://:x@hün", "character"),
    ("redis://:hunter2@h,h2", "one host"), ("redis://", "host"), ("redis://:7", "host"),
    ("redis://:hunter2@", "host"), ("redis://:hunter2@:7", "host"), ("redis://[]", "host"),
    ("redis://h:", "port"), ("redis://h:0", "port"), ("redis://h:65536", "port"),
    ("redis://h:-1", "port"), ("redis://h:x", "port"), ("redis://h: 7", "port"),
    ("redis://:hunter2@h:99999", "port"), ("redis://h/x", "database"), ("redis://h/-1", "database"),
    ("redis://h/65536", "database"), ("redis://h/1/2", "database"),
    ("redis://h/1?x=y", "no options"),
    ("redis://:hunter2@h/x", "database"), ("redis://:hunter2%@h", "password"),
    ("redis://:hunter2%4@h", "password"), ("redis://:hunter2%zz@h", "password"),
    ("redis://:hunter2%ff@h", "password"), ("redis://hunter2%zz:x@h", "user"),
    ("unix:///", "path"), ("unix:///?db=1", "path"), ("unix://", "absolute path"),
    ("unix://r.sock", "absolute path"),
    ("unix://hunter2/r.sock", "absolute path"), ("unix://hunter2@r.sock", "absolute path"),
    ("unix://:hunter2%zz@/r.sock", "password"), ("unix://hunter2%zz@/r.sock", "user"),
    ("unix:///r.sock?db=x", "db="),
    ("unix:///r.sock?db=-1", "db="), ("unix:///r.sock?db=65536", "db="),
    ("unix:///r.sock?password=hunter2", "db="), ("unix:///r.sock?", "db="),
    ("unix:///r.sock?db=1&x=hunter2", "db="),
  ]

  @Test(arguments: bad)
  func `a bad URL is refused, with a reason that does not hold its secrets`(
    url: String, reason: String
  ) throws {
    let error = try #require(throws: RedisURLError.self) { try RedisEndpoint(url: url) }
    #expect(error.text.contains(reason), "\(error.text)")
    #expect(!"\(error)".contains("hunter2"), "\(error)")
  }

  /// Numbers are digits, and nothing may stand where it is overlooked.
  @Test(arguments: [
    "redis://h:+7", "redis://h/+1", "unix:///r.sock?db=+1", "redis://:%+5@h", "redis://[::1]7",
    "redis://[::1]x:7", "redis://::1", "redis://[::1",
  ])
  func `a URL that is nearly good is refused too`(url: String) {
    #expect(throws: RedisURLError.self) { try RedisEndpoint(url: url) }
  }

  @Test(
    arguments: [
      ("redis://ann:hunter2@h:7/3", "redis://h:7/3"), ("redis://:hunter2@h", "redis://h:6379"),
      ("redis://:hunter2@[::1]:7", "redis://[::1]:7"), ("redis://h/0", "redis://h:6379"),
      ("unix://ann:hunter2@/r.sock", "unix:///r.sock"),
      ("unix:///r.sock", "unix:///r.sock"), ("unix:///r.sock?db=2", "unix:///r.sock?db=2"),
      (
        "rediss-sentinel://ann:hunter2@a,[::1]:2/m/3",
        "rediss-sentinel://a:26379,[::1]:2/m/3"
      ),
      ("redis-cluster://:hunter2@a,b:2", "redis-cluster://a:6379,b:2"),
      ("rediss://:hunter2@a", "rediss://a:6379"),
    ] as [(String, String)])
  func `the public text has no secret and is a URL of the same place`(
    url: String, text: String
  ) throws {
    let endpoint = try RedisEndpoint(url: url)
    #expect(endpoint.publicText == text)
    let again = try RedisEndpoint(url: text)
    #expect(again.topology == endpoint.topology && again.database == endpoint.database)
    #expect(again.usesTLS == endpoint.usesTLS)
    #expect(again.password == nil && again.user == nil)
  }
}
