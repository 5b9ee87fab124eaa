// Owns: the comparison of the rights in deploy/redis/users.acl with the commands that Latchkey
// uses: no right is missing, and none is given that nothing needs.

import Foundation
import Testing

@testable import Worker

struct LeastRightsTests {
  /// What `user NAME` may do in the file, as rules.
  private static func rules(of user: String) throws -> [String] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "deploy/redis/users.acl")
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    let line = try #require(lines.first { $0.hasPrefix("user \(user) ") })
    return line.split(separator: " ").dropFirst(2).map(String.init)
  }

  /// The rules of the commands that are tried by the doctor, which another test compares with
  /// the scripts; hearing by pattern is only a way out that no worker takes.
  private static var needed: Set<String> {
    let keys = ProbeKeys(namespace: "lk", run: "r")
    let probes = Probe.removers(keys) + Probe.others(keys, endsAtMs: 0)
    return Set((probes + [Probe.subscribe(database: 0)]).map(\.rule))
  }

  @Test func `a worker's user may do what workers do, on their keys, and nothing else`() throws {
    let rules = try Self.rules(of: "latchkey")
    let commands = rules.filter { $0.hasPrefix("+") }
    #expect(Set(commands).symmetricDifference(Self.needed) == [])
    #expect(commands.count == Set(commands).count)
    let others = rules.filter { !$0.hasPrefix("+") && !$0.hasPrefix("#") }
    #expect(
      others == [
        "on", "resetkeys", "~lk:*", "resetchannels", "&" + Probe.channel(database: 0), "-@all",
      ])
  }

  @Test func `the doctor's user may look at Redis too`() throws {
    let worker = try Self.rules(of: "latchkey").filter { !$0.hasPrefix("#") }
    let doctor = try Self.rules(of: "latchkey-doctor").filter { !$0.hasPrefix("#") }
    #expect(Array(doctor.prefix(worker.count)) == worker)
    #expect(doctor.dropFirst(worker.count) == ["+psubscribe", "+pttl", "+info", "+config|get"])
  }

  @Test func `the default user may do nothing, and no secret is set`() throws {
    #expect(try Self.rules(of: "default") == ["off", "resetchannels", "-@all"])
    for user in ["latchkey", "latchkey-doctor", "admin"] {
      let secrets = try Self.rules(of: user).filter { "#><".contains($0.prefix(1)) }
      #expect(secrets.count == 1 && secrets[0].hasPrefix("#SHA256-OF-THE-"))
    }
  }
}
