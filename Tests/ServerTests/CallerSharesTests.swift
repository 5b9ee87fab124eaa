// Owns: the tests of the shares of connections and principals in what a loop has under way.

import Testing

@testable import Server

struct CallerSharesTests {
  @Test func `one that is alone has all of the room`() {
    let shares = CallerShares()
    #expect(shares.most(shares.ofUnknown) == CallerShares.roomMax)
    shares.changed(shares.ofUnknown, from: 0, to: 1)
    #expect(shares.most(shares.ofUnknown) == CallerShares.roomMax)
    shares.room = 1_024
    #expect(shares.most(shares.ofUnknown) == 1_024)
  }

  @Test func `principals have equal shares, and the connections of each`() {
    let shares = CallerShares()
    shares.room = 4_000
    let (heavy, calm) = (shares.join("heavy"), shares.join("calm"))
    #expect(shares.join("heavy") === heavy)
    for _ in 0..<100 { shares.changed(heavy, from: 0, to: 2) }
    #expect(shares.most(heavy) == 40)
    #expect(!shares.asksLittle(heavy), "it is alone")
    for _ in 0..<2 { shares.changed(calm, from: 0, to: 1) }
    #expect(shares.most(heavy) == 20 && shares.most(calm) == 1_000)
    #expect(shares.asksLittle(calm) && !shares.asksLittle(heavy))
    for _ in 0..<98 { shares.changed(heavy, from: 2, to: 0) }
    #expect(!shares.asksLittle(calm) && !shares.asksLittle(heavy), "neither has less")
    for _ in 0..<2 { shares.changed(heavy, from: 2, to: 0) }
    #expect(shares.most(calm) == 2_000)
    for _ in 0..<2 { shares.changed(calm, from: 1, to: 0) }
    #expect(shares.most(calm) == 4_000)
  }

  @Test func `a connection may always have a request under way`() {
    let shares = CallerShares()
    for _ in 0..<10_000 { shares.changed(shares.ofUnknown, from: 0, to: 1) }
    #expect(shares.most(shares.ofUnknown) == 1)
  }

  @Test func `when the room is full none has more than one`() {
    let shares = CallerShares()
    shares.changed(shares.ofUnknown, from: 0, to: 4_095)
    #expect(shares.most(shares.ofUnknown) == 4_096)
    shares.changed(shares.ofUnknown, from: 4_095, to: 4_096)
    #expect(shares.most(shares.ofUnknown) == 1)
    shares.changed(shares.ofUnknown, from: 4_096, to: 10)
    #expect(shares.most(shares.ofUnknown) == 4_096)
  }

  @Test func `a turn has so many lines, and each connection with many as many as the others`() {
    let shares = CallerShares()
    #expect(shares.linesOfEach == Connection.linesPerTurn)
    for _ in 0..<32 { shares.took(128, hadMore: true) }
    #expect(shares.linesOfEach == 2)
    shares.turnEnded()
    #expect(shares.linesOfEach == 128)
    for _ in 0..<1_024 { shares.took(2, hadMore: true) }
    shares.turnEnded()
    #expect(shares.linesOfEach == 4)
    for _ in 0..<10_000 { shares.took(1, hadMore: false) }
    #expect(shares.linesOfEach == 2)
    shares.turnEnded()
    #expect(shares.linesOfEach == 128)
  }

  @Test func `a principal without connections is forgotten`() {
    let shares = CallerShares()
    let first = shares.join("a")
    #expect(shares.join("a") === first)
    shares.leave(first)
    #expect(shares.join("a") === first)
    for _ in 0..<2 { shares.leave(first) }
    #expect(shares.join("a") !== first)
    shares.leave(shares.ofUnknown)
    #expect(shares.join("b") !== shares.ofUnknown)
  }
}
