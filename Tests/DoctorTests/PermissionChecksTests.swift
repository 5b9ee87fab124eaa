// Owns: the tests of the commands that the doctor tries, and of its reading of denials.

import Foundation
import Testing

@testable import Doctor

struct PermissionChecksTests {
  @Test(arguments: [
    ("NOPERM this user has no permissions to run the 'get' command or its subcommand", 0),
    ("NOPERM User ann has no permissions to run the 'keys' command", 0),
    ("NOPERM this user has no permissions to access one of the keys used as arguments", 1),
    ("NOPERM No permissions to access a key", 1),
    ("NOPERM this user has no permissions to access one of the channels used as arguments", 2),
    ("ERR unknown command", nil),
  ])
  func `denials of all versions are understood`(error: String, kind: Int?) {
    let kinds: [PermissionChecks.Denial] = [.command, .key, .channel]
    #expect(PermissionChecks.Denial(error) == kind.map { kinds[$0] })
  }

  /// A new command in a script must be added to the doctor, too.
  @Test func `every command of the scripts is tried`() throws {
    let sources = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Sources/Scripts/Lua")
    let files = try FileManager.default.subpathsOfDirectory(atPath: sources.path).filter {
      $0.hasSuffix(".lua")
    }
    let tried = Set(Self.probes.map(\.name))
    var count = 0
    for file in files {
      let text = try String(contentsOf: sources.appending(path: file), encoding: .utf8)
      for match in text.matches(of: /call\('([A-Z]+)'(?:, *'([A-Z]+)')?/) {
        count += 1
        let command = String(match.1)
        let whole = match.2.map { "\(command) \($0)" } ?? command
        #expect(tried.contains(command) || tried.contains(whole), "\(file): \(whole)")
      }
    }
    #expect(count > 20)
  }

  private static var probes: [Probe] {
    let keys = ProbeKeys(namespace: "lk", run: "r")
    return Probe.removers(keys) + Probe.others(keys, endsAtMs: 0)
  }
}
