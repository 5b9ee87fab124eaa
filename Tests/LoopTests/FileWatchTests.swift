// Owns: the tests of interest in descriptors, on socketpairs.

import Testing

@testable import Loop

struct FileWatchTests {
  @Test func `read interest is told until all is read`() throws {
    let loop = try EventLoop()
    let pair = try SocketPair()
    #expect(pair.far.write("abc") == .moved(3))
    var told: [Readiness] = []
    var text = ""
    let owner = Callback { readiness in
      told.append(readiness)
      text += pair.near.readText(room: 1).1
      if text == "abc" { loop.stop() }
    }
    let watch = FileWatch(loop, pair.near.descriptor, owner: owner)
    watch.want(.read)
    #expect(watch.interest == .read)
    run(loop, keeping: watch, owner)
    #expect(told == [.read, .read, .read])
  }

  @Test func `write interest is told when there is room, and not otherwise`() throws {
    let loop = try EventLoop()
    let pair = try SocketPair()
    while case .moved = pair.near.write(String(repeating: "x", count: 65_536)) {}
    var isEmptied = false
    var told: [Readiness] = []
    let owner = Callback { readiness in
      told.append(readiness)
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
    #expect(told == [.write])
  }

  @Test func `both interests are told in one call`() throws {
    let loop = try EventLoop()
    let pair = try SocketPair()
    #expect(pair.far.write("x") == .moved(1))
    var told: [Readiness] = []
    let owner = Callback { readiness in
      told.append(readiness)
      loop.stop()
    }
    let watch = FileWatch(loop, pair.near.descriptor, owner: owner)
    watch.want(.both)
    run(loop, keeping: watch, owner)
    #expect(told == [.both])
  }

  @Test func `who asks for nothing hears nothing, and can ask again`() throws {
    let loop = try EventLoop()
    let pair = try SocketPair()
    #expect(pair.far.write("x") == .moved(1))
    var told: [Readiness] = []
    var watch: FileWatch?
    var again: LoopTimer?
    let owner = Callback { readiness in
      told.append(readiness)
      if told.count == 2 {
        loop.stop()
      } else {
        watch?.want(.none)
        again?.set(afterMs: 30)
      }
    }
    watch = FileWatch(loop, pair.near.descriptor, owner: owner)
    again = LoopTimer(loop) {
      #expect(told == [.write])
      #expect(watch?.interest == Readiness.none)
      watch?.want(.read)
    }
    watch?.want(.write)
    watch?.want(.write)
    run(loop, keeping: watch, owner, again)
    #expect(told == [.write, .read])
  }

  @Test func `a peer that closes is told as readable`() throws {
    let loop = try EventLoop()
    let pair = try SocketPair()
    var told: [Readiness] = []
    let owner = Callback { readiness in
      told.append(readiness)
      #expect(pair.near.readText().0 == .ended)
      loop.stop()
    }
    let watch = FileWatch(loop, pair.near.descriptor, owner: owner)
    watch.want(.read)
    pair.closeFar()
    run(loop, keeping: watch, owner)
    #expect(told == [.read])
  }

  @Test func `a watch that goes in a turn is not called in it, though it was ready`() throws {
    let loop = try EventLoop()
    let pairs = [try SocketPair(), try SocketPair()]
    var watches: [FileWatch?] = []
    var told = 0
    let owner = Callback { _ in
      told += 1
      // Both are ready: whoever comes first takes the other one away, and itself.
      watches = []
      loop.stop()
    }
    watches = pairs.map { FileWatch(loop, $0.near.descriptor, owner: owner) }
    for watch in watches { watch?.want(.read) }
    for pair in pairs { #expect(pair.far.write("x") == .moved(1)) }
    run(loop, keeping: owner)
    #expect(told == 1)
  }
}
