// Owns: the tests of interest in descriptors, on socketpairs.

import Testing

@testable import Loop

struct FileWatchTests {
  @Test func `a descriptor is reported as readable until all is read`() throws {
    let loop = try EventLoop()
    let pair = try SocketPair()
    #expect(pair.far.write("abc") == .moved(3))
    var reported: [Readiness] = []
    var text = ""
    let owner = Callback { readiness in
      reported.append(readiness)
      text += pair.near.readText(room: 1).1
      if text == "abc" { loop.stop() }
    }
    let watch = FileWatch(loop, pair.near.descriptor, owner: owner)
    watch.want(.read)
    #expect(watch.interest == .read)
    run(loop, keeping: watch, owner)
    #expect(reported == [.read, .read, .read])
  }

  @Test func `a descriptor is reported as writable only while there is room`() throws {
    let loop = try EventLoop()
    let pair = try SocketPair()
    while case .moved = pair.near.write(String(repeating: "x", count: 65_536)) {}
    var isEmptied = false
    var reported: [Readiness] = []
    let owner = Callback { readiness in
      reported.append(readiness)
      #expect(isEmptied)
      loop.stop()
    }
    let watch = FileWatch(loop, pair.near.descriptor, owner: owner)
    watch.want(.write)
    let reader = LoopTimer(loop) {
      isEmptied = true
      while case .moved = pair.far.readText(room: 65_536).0 {}
    }
    reader.set(afterMs: 30)
    run(loop, keeping: watch, owner, reader)
    #expect(reported == [.write])
  }

  @Test func `both directions are reported in one call`() throws {
    let loop = try EventLoop()
    let pair = try SocketPair()
    #expect(pair.far.write("x") == .moved(1))
    var reported: [Readiness] = []
    let owner = Callback { readiness in
      reported.append(readiness)
      loop.stop()
    }
    let watch = FileWatch(loop, pair.near.descriptor, owner: owner)
    watch.want(.both)
    run(loop, keeping: watch, owner)
    #expect(reported == [.both])
  }

  @Test func `a watch without interest gets no reports until it has one again`() throws {
    let loop = try EventLoop()
    let pair = try SocketPair()
    #expect(pair.far.write("x") == .moved(1))
    var reported: [Readiness] = []
    var watch: FileWatch?
    var again: LoopTimer?
    let owner = Callback { readiness in
      reported.append(readiness)
      if reported.count == 2 {
        loop.stop()
      } else {
        watch?.want(.none)
        again?.set(afterMs: 30)
      }
    }
    watch = FileWatch(loop, pair.near.descriptor, owner: owner)
    again = LoopTimer(loop) {
      #expect(reported == [.write])
      #expect(watch?.interest == Readiness.none)
      watch?.want(.read)
    }
    watch?.want(.write)
    watch?.want(.write)
    run(loop, keeping: watch, owner, again)
    #expect(reported == [.write, .read])
  }

  @Test func `a peer that closes is reported as readable`() throws {
    let loop = try EventLoop()
    let pair = try SocketPair()
    var reported: [Readiness] = []
    let owner = Callback { readiness in
      reported.append(readiness)
      #expect(pair.near.readText().0 == .ended)
      loop.stop()
    }
    let watch = FileWatch(loop, pair.near.descriptor, owner: owner)
    watch.want(.read)
    pair.closeFar()
    run(loop, keeping: watch, owner)
    #expect(reported == [.read])
  }

  @Test func `a watch that goes in a turn is not called in it, though it was ready`() throws {
    let loop = try EventLoop()
    let pairs = [try SocketPair(), try SocketPair()]
    var watches: [FileWatch?] = []
    var reported = 0
    let owner = Callback { _ in
      reported += 1
      // Both are ready: the first one called removes the other, and itself.
      watches = []
      loop.stop()
    }
    watches = pairs.map { FileWatch(loop, $0.near.descriptor, owner: owner) }
    for watch in watches { watch?.want(.read) }
    for pair in pairs { #expect(pair.far.write("x") == .moved(1)) }
    run(loop, keeping: owner)
    #expect(reported == 1)
  }
}
