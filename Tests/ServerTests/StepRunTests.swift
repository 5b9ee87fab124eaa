// Owns: the tests of which requests may follow those that take several steps.

import Testing

@testable import Server

struct StepRunTests {
  @Test func `a run has one verb, and each device once, in any case`() {
    var run = StepRun()
    #expect(run.isEmpty && run.allows(verb: 1, "dev".utf8))
    run.begin(verb: 1, "dev".utf8)
    #expect(!run.isEmpty)
    #expect(!run.allows(verb: 1, "dev".utf8))
    #expect(!run.allows(verb: 1, "DEV".utf8))
    #expect(run.allows(verb: 1, "other".utf8))
    #expect(!run.allows(verb: 2, "other".utf8))
  }

  @Test func `a run is over when all of its requests are`() {
    var run = StepRun()
    run.begin(verb: 1, "a".utf8)
    run.begin(verb: 1, "b".utf8)
    run.end()
    #expect(!run.isEmpty && !run.allows(verb: 1, "a".utf8) && !run.allows(verb: 1, "b".utf8))
    run.end()
    #expect(run.isEmpty && run.allows(verb: 2, "a".utf8))
  }

  @Test func `nothing follows a request that is alone, whatever it runs in its place`() {
    var run = StepRun()
    run.beginAlone()
    #expect(!run.isEmpty && !run.allows(verb: 1, "a".utf8))
    for device in ["a", "b"] {
      run.begin(verb: 1, device.utf8)
      #expect(!run.allows(verb: 1, "c".utf8))
      run.end()
      #expect(!run.isEmpty && !run.allows(verb: 1, "c".utf8))
    }
    run.end()
    run.begin(verb: 1, "a".utf8)
    #expect(run.allows(verb: 1, "c".utf8) && !run.allows(verb: 2, "c".utf8))
  }
}
