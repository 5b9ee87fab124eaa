// Owns: the tests of changes as scripts publish them, and of the reads that they concern.

import Testing

@testable import Events
@testable import SessionModel

struct ChangeTests {
  private func parse(_ message: String) -> DeviceChange? {
    Array(message.utf8).withUnsafeBufferPointer { DeviceChange($0) }
  }

  private func text(_ bytes: [UInt8]?) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func `a message becomes an event's line without an id`() throws {
    let change = try #require(
      parse(
        "chat.said d S 2 ada,bob "
          + "\"at\":5,\"session\":\"S\",\"chat\":2,\"messages\":[{\"text\":\"a b\"}]"
      ))
    #expect(text(change.device) == "d" && text(change.session) == "S" && text(change.chat) == "2")
    #expect(
      text(change.line)
        == "EVENT {\"type\":\"chat.said\",\"device\":\"d\",\"at\":5,\"session\":\"S\",\"chat\":2,"
        + "\"messages\":[{\"text\":\"a b\"}]}\n")
    let lock = try #require(parse("lock.acquired d - - - \"at\":5,\"agent\":\"a\""))
    #expect(lock.session == nil && lock.chat == nil)
    #expect(try #require(parse("log d S - - \"at\":5")).line.isEmpty)
  }

  @Test(arguments: [
    "", "mark", "chat.said", "a b c", "a b c d", " d S 1 - \"at\":5", "t  S 1 - \"a\":1",
    "a b c d e",
  ])
  func `what is no change is passed over`(message: String) {
    #expect(parse(message) == nil)
  }

  @Test func `members that are corrupt are left out, and the line stays in the grammar`() throws {
    let change = try #require(parse("chat.said d - - - \"at\":5}\nOK"))
    #expect(
      text(change.line)
        == "EVENT {\"type\":\"chat.said\",\"device\":\"d\",\"damaged\":[\"record\"]}\n")
  }

  @Test func `a read is concerned by what it addresses, or by what names nothing else`() throws {
    func scope(_ session: String?, _ chat: String?) -> ChangeScope {
      ChangeScope(
        device: Array("d".utf8), session: session.map { Array($0.utf8) },
        chat: chat.map { Array($0.utf8) })
    }
    let said = try #require(parse("chat.said d S 1 ada,bob \"at\":5"))
    let set = try #require(parse("session.changed d S - - \"at\":5"))
    let lock = try #require(parse("lock.acquired d - - - \"at\":5"))
    for any in [scope(nil, nil), scope("S", nil), scope("S", "1")] {
      #expect(any.concerns(said) && any.concerns(set) && any.concerns(lock))
    }
    #expect(!scope("T", nil).concerns(said) && !scope("S", "2").concerns(said))
    #expect(scope("S", "2").concerns(set) && !scope("T", "1").concerns(set))
    #expect(said.users?.map { text($0) } == ["ada", "bob"])
    #expect(set.users?.isEmpty == true && lock.users == nil)
  }

  @Test func `a source has a channel in its partition, or one in each`() {
    let keyspace = Keyspace(namespace: "lk")
    let device = ChangeSource.device(Array("dev-1".utf8))
    let partition = device.partitions[0]
    #expect(device.channels(keyspace) == ["lk:{\(partition.tag)}:changes:dev-1"])
    let all = ChangeSource.all.channels(keyspace)
    #expect(all.count == 256 && all.first == "lk:{000}:changes" && all.last == "lk:{0ff}:changes")
  }

  @Test func `a loop wants a source until the last request or watch has ended`() {
    var interest = ChangeInterest()
    let source = ChangeSource.device([1])
    interest.add(source)
    interest.add(source)
    #expect(interest.remove(source) == false)
    #expect(interest.remove(source) == true)
    #expect(interest.remove(source) == false)
  }
}
