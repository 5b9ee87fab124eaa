// Owns: the tests of how descriptors are divided: nothing that is needed is given away.

import Testing

@testable import Server
@testable import Service
@testable import Settings

struct DescriptorBudgetTests {
  private func divide(_ limit: Int, threads: Int = 2, connectionsMax: Int = 20_000)
    -> DescriptorBudget?
  {
    var settings = Settings()
    settings.connectionsMax = connectionsMax
    return DescriptorBudget(limit: limit, openNow: 15, threads: threads, settings: settings)
  }

  @Test func `with room for all nothing is lowered`() throws {
    let budget = try #require(divide(1_000_000))
    #expect(budget.connectionsMax == 20_000 && budget.admin == 64)
    #expect(budget.callers > 20_000 && budget.hooks == 6 + 16 * (2 + 3 * 32))
    #expect(budget.ofHookConnections == 16 * 98)
    let least = try #require(divide(budget.wantedLimit))
    #expect(least.connectionsMax == 20_000 && least.admin == 64)
    let less = try #require(divide(budget.wantedLimit - 1))
    #expect(less.connectionsMax == 19_999)
  }

  @Test(arguments: [48, 64, 100, 256, 1_024, 20_000], [1, 2, 3])
  func `callers, the admin port and the worker itself share a limit`(limit: Int, threads: Int)
    throws
  {
    guard let budget = divide(limit, threads: threads) else {
      #expect(limit < 64)
      return
    }
    #expect(budget.callers + budget.admin + budget.hooks + 15 + 6 * threads + 16 == limit)
    #expect(budget.hooks <= limit / 8 && budget.hooks <= budget.callers)
    #expect(1...budget.callers ~= budget.connectionsMax)
    #expect(budget.admin >= 4 && budget.admin <= max(4, limit / 8))
  }

  @Test func `sentinels have theirs too`() throws {
    var settings = Settings()
    settings.redisURL = "redis-sentinel://a,b,c/m"
    let budget = try #require(
      DescriptorBudget(limit: 1_000, openNow: 15, threads: 2, settings: settings))
    let without = try #require(divide(1_000))
    #expect(without.callers - budget.callers == 3 * 4 + 2 + 5)
  }

  @Test func `without a descriptor for callers there is no division`() {
    #expect(divide(30) == nil)
    #expect(divide(1) == nil)
  }

  @Test func `a pool gives out as many as it has, and those that come back`() {
    let pool = DescriptorPool(most: 2)
    #expect(pool.take() && pool.take())
    #expect(!pool.take() && !pool.take())
    #expect(pool.now == 2)
    pool.giveBack()
    #expect(pool.take() && !pool.take())
  }
}
