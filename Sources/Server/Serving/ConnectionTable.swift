// Owns: which connections a loop has, and their numbers. Runs on the loop's thread.

internal import Store

/// The connections of one loop; a number that is used again has another generation, so that a late
/// reply finds no connection instead of a wrong one.
struct ConnectionTable {
  private struct Slot {
    var connection: Connection?
    var generation: UInt32 = 0
  }

  private var places: [Slot] = []
  private var free: [UInt32] = []
  private(set) var count = 0

  /// Makes a number and puts in its place what `make` returns.
  @discardableResult
  mutating func insert(_ make: (ConnectionID) -> Connection) -> Connection {
    let place: UInt32
    if let known = free.popLast() {
      place = known
    } else {
      place = UInt32(places.count)
      places.append(Slot())
    }
    let id = ConnectionID(place: place, generation: places[Int(place)].generation)
    let connection = make(id)
    places[Int(place)].connection = connection
    count += 1
    return connection
  }

  subscript(id: ConnectionID) -> Connection? {
    let place = places[Int(id.place)]
    return place.generation == id.generation ? place.connection : nil
  }

  mutating func remove(_ id: ConnectionID) {
    guard self[id] != nil else { return }
    places[Int(id.place)].connection = nil
    places[Int(id.place)].generation &+= 1
    free.append(id.place)
    count -= 1
  }

  /// All connections now; closing one while going through them is fine.
  var all: [Connection] { places.compactMap(\.connection) }
}
