// Owns: which connections a loop has, and their numbers. Runs on the loop's thread.

internal import Store

/// The connections of one loop; a number that is used again has another generation, so that a late
/// reply finds no connection instead of a wrong one.
struct ConnectionTable {
  private var places: [Connection?] = []
  private var generations: [UInt32] = []
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
      places.append(nil)
      generations.append(0)
    }
    let id = ConnectionID(place: place, generation: generations[Int(place)])
    let connection = make(id)
    places[Int(place)] = connection
    count += 1
    return connection
  }

  subscript(id: ConnectionID) -> Connection? {
    guard generations[Int(id.place)] == id.generation else { return nil }
    return places[Int(id.place)]
  }

  mutating func remove(_ id: ConnectionID) {
    guard generations[Int(id.place)] == id.generation, places[Int(id.place)] != nil else { return }
    places[Int(id.place)] = nil
    generations[Int(id.place)] &+= 1
    free.append(id.place)
    count -= 1
  }

  /// All connections now; closing one while going through them is fine.
  var all: [Connection] { places.compactMap { $0 } }
}
