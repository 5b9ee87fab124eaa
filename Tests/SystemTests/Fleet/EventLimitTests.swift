// Owns: the test that the limit of events counts the verbs that write one, and no others.

import Testing

extension SystemSuites.Fleet {
  @Suite struct EventLimit {
    /// How many events all logs have.
    private func logged(_ redis: RedisServer) throws -> Int {
      let script = """
        local sum = 0
        for p = 0, 255 do sum = sum + redis.call('XLEN', string.format('lk:{%03x}:events', p)) end
        return sum
        """
      guard case .integer(let sum) = try redis.command("EVAL", script, "0") else {
        throw Failure("no number")
      }
      return sum
    }

    /// The verbs of HELP that change something.
    private func writingVerbs(_ client: LineClient) throws -> Set<String> {
      guard case .array(let names)? = try client.request("HELP").json()["verbs"] else {
        throw Failure("HELP lists no verbs")
      }
      return Set(
        try names.compactMap(\.string).filter {
          ["write", "operate"].contains(try client.request("HELP \($0)").string("rights"))
        })
    }

    @Test func `a verb counts for the limit of events where it writes one, and else not`() throws {
      let rights = ["--rights", "read,write,operate"]
      let file = try PrincipalsFile([("loud", rights + ["--events", "1"]), ("calm", rights)])
      let lab = try Lab(workers: [["--auth", file.path]])
      defer { lab.stop() }
      let loud = try file.connect(lab.worker, as: "loud")
      let calm = try file.connect(lab.worker, as: "calm")
      let seized = Lab.device()
      var (counted, uncounted, writing) = (Set<String>(), Set<String>(), Set<String>())
      for (verb, setup, request) in GrammarRow.writing {
        // These have used up what the limit admits.
        let seizures = (0..<3).map { "SEIZE \(seized) a\($0)" }
        let reply = try GrammarRun.reply(setup, by: calm, request, by: loud, behind: seizures)
        if reply.raw.contains("requests a second that write an event") {
          counted.insert(verb)
        } else {
          uncounted.insert(verb)
          #expect(reply.raw.hasPrefix("OK"), "\(request): \(reply)")
        }
        let growth = try GrammarRun.growth(setup, request, by: calm) { try logged(lab.redis) }
        if growth > 0 { writing.insert(verb) }
      }
      #expect(counted.isDisjoint(with: uncounted))
      // The lock that UNLOCK gives back was counted by HANDOFF with return=.
      #expect(counted == writing.subtracting(["UNLOCK"]))
      #expect(writing.contains("UNLOCK"))
      #expect(try writingVerbs(calm).subtracting(GrammarRow.writing.map(\.verb)) == [], "no row")
    }
  }
}
