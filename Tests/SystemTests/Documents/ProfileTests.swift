// Owns: the tests of profiles: fields of a user, or of another link.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--profile-keep", "2s"], []])) struct Profiles {
    @Test func `members are merged like a session's, and no session is needed`() throws {
      let client = try Lab.current.connect(1)
      let user = Lab.device()
      let profile = "PROFILE user=\(user)"
      #expect(try client.request(profile).raw == "OK {\"rev\":0,\"fields\":{}}")
      #expect(try client.request(profile + " {\"lang\": \"en\",\"n\":1.0}").raw == "OK {\"rev\":1}")
      #expect(try client.request(profile + " rev=1 {\"n\":null,\"m\":[ ]}").raw == "OK {\"rev\":2}")
      #expect(
        try client.request(profile).raw == "OK {\"rev\":2,\"fields\":{\"lang\":\"en\",\"m\":[ ]}}")
      #expect(try client.request(profile + " rev=1 {\"m\":1}").raw == "STALE {\"rev\":2}")
      #expect(try client.request(profile + " rev=1 {\"lang\":\"fr\"}").raw == "OK {\"rev\":3}")
      #expect(try client.request(profile + " rev=9 {\"x\":1}").raw == "STALE {\"rev\":3}")
      #expect(try client.request(profile + " {}").raw == "OK {\"rev\":3}")
      #expect(try client.request("PROFILE app=\(user)").int("rev") == 0)
      for rest in ["\(user)", "*", "thread=x", "agent=x", "user=\(user) rev=1", "user=\(user) [1]"]
      {
        expectBadRequest(try client.request("PROFILE \(rest)"))
      }
    }

    @Test func `of concurrent writes to one profile none is lost`() throws {
      let lab = try Lab.current
      let user = Lab.device()
      _ = try inParallel(4) { index in
        let client = try lab.connect(1)
        for round in 0..<10 {
          expect(try client.request("PROFILE user=\(user) {\"w\(index)-\(round)\":1}"), "OK")
        }
      }
      let profile = try lab.connect(1).request("PROFILE user=\(user)")
      #expect(try profile.int("rev") == 40)
      #expect(try profile.json()["fields"]?.names.count == 40)
    }

    @Test
    func
      `an idempotency key belongs to the link, and a profile ends some time after its last write`()
      throws
    {
      let client = try Lab.current.connect(0)
      let user = Lab.device()
      let line = "PROFILE user=\(user) req=r {\"n\":1}"
      for _ in 0..<2 { #expect(try client.request(line).raw == "OK {\"rev\":1}") }
      #expect(try client.request("PROFILE app=\(user) req=r {\"n\":1}").raw == "OK {\"rev\":1}")
      expect(try client.request("PROFILE user=\(user) req=r {\"n\":2}"), "ERR", "conflict")
      try eventually("it is gone", within: .seconds(10)) {
        try client.request("PROFILE user=\(user)").int("rev") == 0
      }
    }
  }
}
