// Owns: the tests of the fleet's figures: what is derived from them, and how workers share them.

import Testing

@testable import Metrics

struct FleetFiguresTests {
  private static var figures: FleetFigures {
    var figures = FleetFigures()
    for (index, figure) in FleetFigure.allCases.enumerated() { figures[figure] = Int64(index + 1) }
    figures.agents = ["a": 3, "b%20c": 1]
    figures.heldNowMs = 8_002
    (figures.oldestAtMs, figures.newestAtMs) = (1_000, 2_000)
    return figures
  }

  @Test func `what is shared is read as it was`() throws {
    #expect(FleetFigures(text: Self.figures.text) == Self.figures)
    #expect(FleetFigures(text: "at 17 " + Self.figures.text) == Self.figures)
    #expect(FleetFigures(text: FleetFigures().text) == FleetFigures())
  }

  @Test(arguments: ["x", "nosuch 1", "opened one", "opened", "held:a 1 opened"])
  func `a text that is none is not read`(text: String) {
    #expect(FleetFigures(text: text) == nil)
  }

  @Test func `means and sums are of what they say`() {
    var figures = FleetFigures()
    #expect(figures.heldNowMsMean == 0 && figures.heldMsMean == 0 && figures.liveChats == 0)
    figures = Self.figures
    #expect(figures.held == 4 && figures.heldNowMsMean == 2_000)
    let endings = FleetFigure.endings.map { figures[$0] }
    #expect(figures.heldMsMean == figures[.heldMs] / endings.reduce(0, +))
    #expect(figures.acquired == 4 + figures[.released] + figures[.abandoned] + figures[.cleared])
    (figures[.active], figures[.paused], figures[.moreChats]) = (5, 2, -1)
    #expect(figures.liveChats == 6)
    figures[.moreChats] = -9
    #expect(figures.liveChats == 0)
  }

  @Test func `of many agents those with the most locks are named`() throws {
    var figures = FleetFigures()
    for number in 0..<150 { figures.agents["agent-\(number)"] = Int64(number) }
    let (shown, others) = figures.agents(most: FleetFigures.agentsMax)
    #expect(shown.count == 100 && others == (0..<50).reduce(0, +))
    #expect(Set(shown.map(\.held)) == Set(50..<150))
    #expect(shown.map(\.name) == shown.map(\.name).sorted())
    // As other workers have it, with one entry for the others.
    let read = try #require(FleetFigures(text: figures.text))
    #expect(read.agents.count == 101 && read.held == figures.held)
    let again = read.agents(most: FleetFigures.agentsMax)
    #expect(again.others == others && again.shown.map(\.name) == shown.map(\.name))
    #expect(read.agents(most: 10).others == figures.agents(most: 10).others)
  }
}
