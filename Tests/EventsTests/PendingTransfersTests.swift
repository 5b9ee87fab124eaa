// Owns: the tests of the events that a loop still has to transfer in Redis.

import Loop
import SessionModel
import Testing

@testable import Events

struct PendingTransfersTests {
  private func held(_ group: String, _ ids: String...) -> HeldEvents {
    HeldEvents(group: group, ids: ids.compactMap { EventID($0) })
  }

  private func text(_ transfers: [PendingTransfers.Transfer]) -> [String] {
    transfers.map { transfer in
      "\(transfer.group) \(transfer.target.rawValue) "
        + transfer.ids.map(\.description).joined(separator: ",")
    }
  }

  @Test func `ids with one target go in one call, each partition's in order`() {
    var transfers = PendingTransfers()
    #expect(transfers.isEmpty && transfers.take().isEmpty)
    transfers.add(held("g", "00a-2-0", "001-9-1"), .given)
    transfers.add(held("g", "00a-1-5"), .returned)
    transfers.add(held("h", "00a-1-6"), .given)
    transfers.add(held("g", "001-9-0", "00a-1-7"), .given)
    transfers.add(held("g"), .given)
    #expect(
      text(transfers.take()) == [
        "g given 001-9-0,001-9-1,00a-1-7,00a-2-0", "g returned 00a-1-5", "h given 00a-1-6",
      ])
  }

  @Test func `a transfer is made again until Redis has made it`() throws {
    var transfers = PendingTransfers()
    transfers.add(held("g", "001-1-0"), .returned)
    let transfer = try #require(transfers.take().first)
    #expect(!transfers.isEmpty && transfers.take().isEmpty)
    transfers.finished(transfer, isDone: false)
    #expect(transfers.take() == [transfer])
    transfers.finished(transfer, isDone: true)
    #expect(transfers.isEmpty)
  }

  @Test func `a call has no more ids than it may`() {
    var transfers = PendingTransfers()
    for number in 0..<3 {
      let ids = (0..<600).compactMap { EventID("001-\(number)-\($0)") }
      transfers.add(HeldEvents(group: "g", ids: ids), .given)
    }
    #expect(transfers.take().map(\.ids.count) == [600, 600, 600])
  }
}
