// Owns: a queue on one growing array. A value; any thread.

/// First in, first out, in amortised constant time.
struct FIFO<Element> {
  private var places: [Element?] = []
  private var head = 0

  var isEmpty: Bool { head == places.count }
  /// All elements, the first one first.
  var elements: [Element] { places[head...].compactMap { $0 } }
  var last: Element? { isEmpty ? nil : places[places.count - 1] }
  var first: Element? { isEmpty ? nil : places[head] }

  /// Changes each element in its place.
  mutating func change(_ body: (inout Element) -> Void) {
    for place in head..<places.count {
      guard var element = places[place] else { continue }
      body(&element)
      places[place] = element
    }
  }

  mutating func append(_ element: Element) { places.append(element) }

  mutating func popFirst() -> Element? {
    guard !isEmpty else { return nil }
    let element = places[head]
    places[head] = nil
    head += 1
    // Moving the rest is paid for by as many pops as there are elements to move.
    if head * 2 >= places.count, head >= 32 || isEmpty {
      places.removeFirst(head)
      head = 0
    }
    return element
  }
}
