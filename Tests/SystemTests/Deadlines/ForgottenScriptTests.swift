// Owns: the tests that callers do not notice a Redis that has lost the scripts.

import Foundation
import Testing

extension SystemSuites.Deadlines {
  @Suite struct ForgottenScripts {
    @Test(arguments: Engine.ways)
    func `pipelined requests keep their order when scripts were lost`(way: String) throws {
      let lab = try Lab(workers: [["--lua", way], ["--lua", way]])
      defer { lab.stop() }
      let (client, other) = (try lab.connect(0), try lab.connect(1))
      var rounds = Rounds(20)
      while rounds.next() {
        let device = Lab.device()
        try lab.redis.command("SCRIPT", "FLUSH")
        if Engine.hasFunctions { try lab.redis.command("FUNCTION", "FLUSH") }
        // Now Redis knows UNLOCK's script again, and not LOCK's.
        expect(try other.request("UNLOCK \(Lab.device()) a"), "NONE")
        try client.sendLine("LOCK \(device) a ttl=1h\nUNLOCK \(device) a\nHOLDER \(device)")
        #expect(try client.replies(3).map(\.word) == ["OK", "OK", "NONE"])
      }
    }
  }
}
