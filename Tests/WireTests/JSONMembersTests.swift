// Owns: the tests of the walk over members and elements.

import Testing
import Wire

@Suite struct JSONMembersTests {
  /// The members of an object, each as `key=value`.
  func members(_ text: String) -> [String] {
    let bytes = text.bytes
    var members = JSONMembers(0, bytes.count)
    var all: [String] = []
    while let (key, value) = members.next(in: bytes.span) {
      #expect(key.isQuoted)
      all.append(Array(bytes[key.range]).text + "=" + Array(bytes[value]).text)
    }
    let afterLast = members.next(in: bytes.span)
    #expect(afterLast == nil)
    return all
  }

  /// The elements of an array.
  func elements(_ text: String) -> [String] {
    let bytes = text.bytes
    var elements = JSONElements(0, bytes.count)
    var all: [String] = []
    while let value = elements.next(in: bytes.span) { all.append(Array(bytes[value]).text) }
    let afterLast = elements.next(in: bytes.span)
    #expect(afterLast == nil)
    return all
  }

  @Test func `the members of an object come in order and as they are written`() {
    #expect(members("{}") == [])
    #expect(members(" { } ") == [])
    #expect(members("{\"a\":1}") == ["a=1"])
    #expect(members("{\"b\":1.50,\"a\":\"x y\",\"b\":null}") == ["b=1.50", "a=\"x y\"", "b=null"])
    #expect(members("{\"\":\"\"}") == ["=\"\""])
    #expect(members("{\"a\\\"b\":{},\"c\":[]}") == ["a\\\"b={}", "c=[]"])
  }

  @Test func `white space around members is not part of them`() {
    let text = " {\t\"a\" :\r\n[ 1 , 2 ] ,\n\"b\" : -1e3 , \"c\":true\t} "
    #expect(members(text) == ["a=[ 1 , 2 ]", "b=-1e3", "c=true"])
  }

  @Test func `brackets, commas and quotes in strings and in deeper values do not end a member`() {
    let text = #"{"a":{"x":[1,{"y":"]}"}]},"b":"},{\"c\":1","d":[["\\"],","],"e":2}"#
    #expect(
      members(text) == [
        #"a={"x":[1,{"y":"]}"}]}"#, #"b="},{\"c\":1""#, #"d=[["\\"],","]"#, "e=2",
      ])
  }

  @Test func `the elements of an array come in order and as they are written`() {
    #expect(elements("[]") == [])
    #expect(elements(" [ ] ") == [])
    #expect(elements("[1]") == ["1"])
    #expect(elements("[ 1 ,\"a,]\", [ [ ] ] ,{\"b\":[2,3]},null ]").count == 5)
    #expect(elements("[{\"a\":1},{\"b\":[2]}]") == ["{\"a\":1}", "{\"b\":[2]}"])
    #expect(elements("[[],[],{}]") == ["[]", "[]", "{}"])
    #expect(elements("[\"\",\"\\\"\",\"\\\\\"]") == ["\"\"", "\"\\\"\"", "\"\\\\\""])
  }

  @Test func `a walk can begin and end within a line`() {
    let line = "SAY d1 {\"a\":1} {\"b\":2}".bytes
    var members = JSONMembers(7, 14)
    let first = members.next(in: line.span)
    let second = members.next(in: line.span)
    #expect(first?.value == 12..<13)
    #expect(second == nil)
  }

  @Test func `a walk over an array yields no members and one over an object no end`() {
    #expect(members("[1,2]") == [])
    #expect(members("17") == [])
    #expect(elements("17") == [])
  }

  @Test(arguments: JSONCases.all)
  func `a walk over any text ends within its bounds`(_ item: JSONCase) {
    let bytes = item.text.bytes
    var members = JSONMembers(0, bytes.count)
    var elements = JSONElements(0, bytes.count)
    var steps = 0
    while let (key, value) = members.next(in: bytes.span), steps < 1000 {
      #expect(key.end <= bytes.count && value.upperBound <= bytes.count)
      steps += 1
    }
    while let value = elements.next(in: bytes.span), steps < 1000 {
      #expect(value.upperBound <= bytes.count)
      steps += 1
    }
    #expect(steps <= bytes.count)
  }
}
