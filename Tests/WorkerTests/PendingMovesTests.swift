// Owns: the tests of the events that a loop still has to move in Redis.

import SessionModel
import Testing

@testable import Worker

struct PendingMovesTests {
  private func held(_ group: String, _ ids: String...) -> HeldEvents {
    HeldEvents(group: group, ids: ids.compactMap { EventID($0) })
  }

  private func text(_ moves: [PendingMoves.Move]) -> [String] {
    moves.map { move in
      "\(move.group) \(move.target.rawValue) " + move.ids.map(\.description).joined(separator: ",")
    }
  }

  @Test func `ids with one target go in one call, each partition's in order`() {
    var moves = PendingMoves()
    #expect(moves.isEmpty && moves.take().isEmpty)
    moves.add(held("g", "00a-2-0", "001-9-1"), .given)
    moves.add(held("g", "00a-1-5"), .returned)
    moves.add(held("h", "00a-1-6"), .given)
    moves.add(held("g", "001-9-0", "00a-1-7"), .given)
    moves.add(held("g"), .given)
    #expect(
      text(moves.take()) == [
        "g given 001-9-0,001-9-1,00a-1-7,00a-2-0", "g returned 00a-1-5", "h given 00a-1-6",
      ])
  }

  @Test func `a move is made again until Redis has made it`() throws {
    var moves = PendingMoves()
    moves.add(held("g", "001-1-0"), .returned)
    let move = try #require(moves.take().first)
    #expect(!moves.isEmpty && moves.take().isEmpty)
    moves.finished(move, isDone: false)
    #expect(moves.take() == [move])
    moves.finished(move, isDone: true)
    #expect(moves.isEmpty)
  }

  @Test func `a call has no more ids than it may`() {
    var moves = PendingMoves()
    for number in 0..<3 {
      let ids = (0..<600).compactMap { EventID("001-\(number)-\($0)") }
      moves.add(HeldEvents(group: "g", ids: ids), .given)
    }
    #expect(moves.take().map(\.ids.count) == [600, 600, 600])
  }
}
