// Owns: the comparison of the rights in deploy/redis/users.acl with the commands that Latchkey
// uses: no right is missing, and no needless one is given.

import Foundation
import Testing

@testable import Doctor

struct LeastRightsTests {
  /// The file as it has to be: the default user may do nothing, a worker what workers do on
  /// Latchkey's keys, the doctor may look at Redis too; and no secret is set, so that Redis does
  /// not start before each has got one.
  private static var users: String {
    let keys = ProbeKeys(namespace: "lk", run: "r")
    // Another test compares the probes with the scripts. Subscribing by pattern is only a way out
    // that no worker takes.
    let probes =
      Probe.removers(keys) + Probe.others(keys, endsAtMs: 0) + Probe.functions
      + Probe.cluster
    // INFO has the eviction policy, for which a worker refuses a Redis at its start.
    let own = (probes + [Probe.subscribe(database: 0)]).map(\.rule) + ["+info"]
    let rules = Set(own).sorted()
    let rights =
      "resetkeys ~lk:* resetchannels &\(Probe.channel(database: 0)) &lk:* -@all "
      + rules.joined(separator: " ")
    return """
      user default off resetchannels -@all
      user latchkey on #SHA256-OF-THE-WORKERS-SECRET \(rights)
      user latchkey-doctor on #SHA256-OF-THE-DOCTORS-SECRET \(rights) +psubscribe +pttl \
      +config|get
      user admin on #SHA256-OF-THE-ADMINS-SECRET ~* &* +@all

      """
  }

  /// `UPDATE_DOCS=1 swift test --filter LeastRightsTests` writes the file instead of comparing it.
  @Test func `the users that are deployed have the rights that are needed, and no others`() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "deploy/redis/users.acl")
    if ProcessInfo.processInfo.environment["UPDATE_DOCS"] == "1" {
      try Self.users.write(to: file, atomically: true, encoding: .utf8)
    }
    let text = try String(contentsOf: file, encoding: .utf8)
    let words = Set(text.split { $0 == " " || $0 == "\n" })
    let wanted = Set(Self.users.split { $0 == " " || $0 == "\n" })
    #expect(wanted.symmetricDifference(words) == [], "UPDATE_DOCS=1 writes it as it has to be")
    let isSame = text == Self.users
    #expect(isSame, "the order or the place of rules differs")
  }
}
