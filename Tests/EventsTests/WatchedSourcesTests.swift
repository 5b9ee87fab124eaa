// Owns: the tests of the sources of changes that a worker is subscribed to: each state with each
// event, and who learns that changes may have been lost.

import Testing

@testable import Events

struct WatchedSourcesTests {
  private let a = ChangeSource.device(Array("a".utf8))
  private let b = ChangeSource.device(Array("b".utf8))

  /// A source that is live for one loop.
  private func live(_ source: ChangeSource) -> WatchedSources {
    var sources = WatchedSources()
    _ = sources.wanted(source, loop: 0, number: 1)
    _ = sources.subscribed(source)
    _ = sources.registered(source, isNew: true, nowMs: 0)
    return sources
  }

  @Test func `changes come once Redis has subscribed the worker and scripts publish them`() {
    var sources = WatchedSources()
    #expect(sources.wanted(a, loop: 0, number: 1) == [.subscribe(a)])
    #expect(sources.wanted(a, loop: 1, number: 2) == [])
    #expect(sources.registered(a, isNew: true, nowMs: 0) == [], "not before it is subscribed")
    #expect(sources.subscribed(a) == [.register([a])])
    #expect(sources.subscribed(a) == [], "said twice")
    #expect(
      sources.registered(a, isNew: true, nowMs: 0)
        == [
          .answer(a, loop: 0, number: 1, comes: true), .answer(a, loop: 1, number: 2, comes: true),
        ])
    #expect(sources.loops(of: a) == [0, 1])
    // One that comes later is answered when Redis has said that they are still published.
    #expect(sources.wanted(a, loop: 0, number: 3) == [.register([a])])
    #expect(sources.wanted(a, loop: 1, number: 4) == [], "it is under way")
    #expect(
      sources.registered(a, isNew: false, nowMs: 1)
        == [
          .answer(a, loop: 0, number: 3, comes: true), .answer(a, loop: 1, number: 4, comes: true),
        ])
  }

  @Test func `a registration is renewed, and a gap in it is a loss`() {
    var sources = live(a)
    #expect(sources.timePassed(nowMs: WatchedSources.renewMs - 1) == [])
    #expect(sources.timePassed(nowMs: WatchedSources.renewMs) == [.register([a])])
    #expect(sources.timePassed(nowMs: WatchedSources.renewMs) == [], "it is under way")
    #expect(sources.registered(a, isNew: false, nowMs: 20_000) == [])
    #expect(sources.timePassed(nowMs: 40_000) == [.register([a])])
    #expect(sources.registered(a, isNew: true, nowMs: 40_000) == [.lost(a, loop: 0)])
    // A renewal that fails is tried again at once.
    #expect(sources.timePassed(nowMs: 60_000) == [.register([a])])
    #expect(sources.refused(a, nowMs: 60_500) == [])
    #expect(sources.timePassed(nowMs: 60_500) == [.register([a])])
    #expect(sources.registered(a, isNew: false, nowMs: 61_000) == [], "it held all the time")
  }

  @Test func `after a lost connection each loop learns that changes may be lost, once`() {
    var sources = live(a)
    _ = sources.wanted(a, loop: 1, number: 2)
    #expect(
      sources.disconnected(nowMs: 5) == [.answer(a, loop: 1, number: 2, comes: false)])
    #expect(sources.registered(a, isNew: false, nowMs: 6) == [], "of before the loss")
    #expect(sources.wanted(a, loop: 2, number: 3) == [])
    #expect(sources.subscribed(a) == [.register([a])])
    // No change comes before the loss.
    #expect(sources.loops(of: a) == [])
    let actions = sources.registered(a, isNew: false, nowMs: 7)
    #expect(sources.loops(of: a) == [0, 1, 2])
    let losses = (0..<3).map { WatchedSources.Action.lost(a, loop: $0) }
    #expect(actions.count == 4)
    for loss in losses { #expect(actions.filter { $0 == loss }.count == 1) }
    #expect(actions.last == .answer(a, loop: 2, number: 3, comes: true))
    #expect(sources.registered(a, isNew: false, nowMs: 8) == [])
  }

  @Test func `those who wait for changes are answered when they cannot come`() {
    var sources = WatchedSources()
    _ = sources.wanted(a, loop: 0, number: 1)
    #expect(sources.disconnected(nowMs: 0) == [.answer(a, loop: 0, number: 1, comes: false)])
    #expect(sources.disconnected(nowMs: 1) == [])
    _ = sources.wanted(b, loop: 0, number: 2)
    #expect(
      sources.subscriptionRefused(nowMs: 2) == [.answer(b, loop: 0, number: 2, comes: false)])
    // When they come at last, the loop learns it as a loss.
    _ = sources.subscribed(a)
    #expect(sources.registered(a, isNew: true, nowMs: 3) == [.lost(a, loop: 0)])
    _ = sources.subscribed(b)
    #expect(sources.refused(b, nowMs: 4) == [])
    #expect(sources.timePassed(nowMs: 4) == [.register([b])])
  }

  @Test func `a source that no loop wants is kept for a while, and then ended`() {
    var sources = live(a)
    sources.released(a, loop: 0, nowMs: 100)
    #expect(sources.loops(of: a) == [])
    #expect(sources.timePassed(nowMs: 100 + WatchedSources.keepMs - 101) == [])
    #expect(sources.wanted(a, loop: 0, number: 4) == [.register([a])])
    _ = sources.registered(a, isNew: false, nowMs: 150)
    sources.released(a, loop: 0, nowMs: 200)
    let actions = sources.timePassed(nowMs: 200 + WatchedSources.keepMs)
    #expect(actions == [.unsubscribe(a)])
    #expect(sources.isEmpty)
    #expect(sources.registered(a, isNew: false, nowMs: 0) == [])
    #expect(sources.wanted(a, loop: 0, number: 5) == [.subscribe(a)])
  }

  @Test func `many renewals go in calls of a bounded size`() {
    var sources = WatchedSources()
    for number in 0..<300 {
      let source = ChangeSource.device(Array("\(number)".utf8))
      _ = sources.wanted(source, loop: 0, number: UInt64(number))
      _ = sources.subscribed(source)
      _ = sources.registered(source, isNew: true, nowMs: 0)
    }
    let sizes = sources.timePassed(nowMs: 20_000).map { action in
      if case .register(let list) = action { list.count } else { 0 }
    }
    #expect(sizes == [128, 128, 44])
  }
}
