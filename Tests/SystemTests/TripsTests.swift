// Owns: the test of how many round trips the calls of agent frameworks take.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab()) struct Trips {
    @Test func `each call of a framework takes as few round trips as it may`() throws {
      let program = Project.root.appending(path: "scripts/trips").path
      let run = try ProgramRun(
        command: [program, "--to", "127.0.0.1:\(try Lab.current.worker.listenPort)"])
      #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
      let calls = run.output.split(separator: "\n")
      #expect(
        calls.count == 14 && calls.allSatisfy { $0.contains(" 1 of 1") || $0.contains("app:") })
      #expect(calls.suffix(2).allSatisfy { $0.hasSuffix(" 2 of 2") || $0.hasSuffix(" 3 of 3") })
    }
  }
}
