// Owns: the tests of the ids of sessions: their order, and their mark of the device.

import SessionModel
import Testing

struct SessionIDTests {
  private func mark(_ device: String) -> UInt16 {
    var copy = device
    return copy.withUTF8 { SessionID.mark(ofDevice: $0) }
  }

  private func mark(of id: String) -> UInt16? {
    Array(id.utf8).withUnsafeBufferPointer { SessionID.mark(of: $0) }
  }

  @Test(arguments: ["d", "dev-1", "zoë", String(repeating: "x", count: 128)])
  func `an id shows the mark of its device, and that the device's partition`(device: String) {
    var ids = SessionIDs()
    for random in [0, 1, UInt64.max] {
      let id = ids.next(ms: 1_795_233_484_561, random: random, mark: mark(device))
      #expect(id.utf8.count == SessionID.length)
      #expect(mark(of: id) == mark(device))
    }
    #expect(Partition(mark: mark(device)) == Partition(of: device))
  }

  @Test func `each id is greater than the one before, whatever device and clock`() {
    var ids = SessionIDs()
    var last = ""
    for (ms, random) in [(5, UInt64.max), (5, 0), (4, 9), (5, 1), (6, 0), (6, 0)]
      as [(Int64, UInt64)]
    {
      for mark in [UInt16.max, 0, 7] {
        let id = ids.next(ms: ms, random: random, mark: mark)
        #expect(id > last)
        last = id
      }
    }
  }

  @Test(arguments: ["", "x", "01ARZ3NDEKTSV4RRFFQ69G5FA", "81ARZ3NDEKTSV4RRFFQ69G5FAV"])
  func `an invalid id has no mark`(text: String) { #expect(mark(of: text) == nil) }
}
