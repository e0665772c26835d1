// Figures of the table alone: bytes and nanoseconds per entry while it grows to a few million
// sessions. Not a test.
//
//   table_bench [millions=4] [subdirectory bits=8]
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "server/keyspace/table.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

constexpr std::size_t kValueBytes = 300;
constexpr UnixMs kNow = 1'700'000'000'000;

// Time of this thread alone, so that neighbours on the machine count little; wall time for single
// steps.
double cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Steps during which the thread was switched out are not samples of the table.
bool undisturbed() {
  static long switches_before = 0;
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const long switches = usage.ru_nivcsw + usage.ru_nvcsw;
  return std::exchange(switches_before, switches) == switches;
}

double now_ns() {
  return std::chrono::duration<double, std::nano>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::size_t rss_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

// 40 bytes, as a session key.
std::string_view key_of(std::uint64_t number, char* buffer) {
  std::snprintf(buffer, 48, "sess:%035llu", static_cast<unsigned long long>(number));
  return {buffer, 40};
}

struct Percentiles {
  std::vector<float> samples;
  void add(double ns) {
    if (ns < 50'000 || undisturbed()) samples.push_back(static_cast<float>(ns));
  }
  void print(const char* what) {
    std::sort(samples.begin(), samples.end());
    const auto at = [&](double share) {
      return samples[static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1))];
    };
    std::printf("%-28s median %.0f  p99 %.0f  p99.99 %.0f  max %.0f ns\n", what, at(0.5), at(0.99),
                at(0.9999), at(1));
  }
};

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t target = (argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 4) * 1'000'000;
  EntryHeap heap;
  const int bits = argc > 2 ? std::atoi(argv[2]) : kKeyspaceSubdirectoryBits;
  Table table(heap, 12345, bits);
  std::printf("empty: %zu bytes\n", table.memory_bytes());
  const std::size_t rss_before = rss_bytes();
  Random random(1);
  char buffer[48];
  Percentiles inserts;
  inserts.samples.reserve(target);
  std::printf("%10s %10s %10s %10s %10s %10s\n", "entries", "table B/e", "entry B/e", "RSS B/e",
              "insert ns", "segments");
  double batch_start = cpu_ns();
  std::size_t next_report = 1'000'000;
  double table_sum = 0;
  int table_samples = 0;
  for (std::uint64_t number = 0; number < target; ++number) {
    const std::string_view key = key_of(number, buffer);
    const double start = now_ns();
    Locator where = table.find(key);
    Entry* entry = Entry::create(heap, key, Kind::kString, kValueBytes);
    std::memset(entry->value_data(), 'v', kValueBytes);
    table.insert(where, entry, kNow + 1'800'000 + static_cast<UnixMs>(random.below(60'000)));
    inserts.add(now_ns() - start);
    if (table.size() >= 1'000'000 && table.size() % 50'000 == 0) {
      table_sum += static_cast<double>(table.memory_bytes()) / static_cast<double>(table.size());
      ++table_samples;
    }
    if (table.size() == next_report) {
      const double elapsed = cpu_ns() - batch_start;
      const auto size = static_cast<double>(table.size());
      const std::size_t samples_bytes = table.size() * sizeof(float);
      std::printf("%10zu %10.2f %10.2f %10.2f %10.0f %10zu\n", table.size(),
                  static_cast<double>(table.memory_bytes()) / size,
                  static_cast<double>(heap.used_bytes()) / size,
                  static_cast<double>(rss_bytes() - rss_before - samples_bytes) / size,
                  elapsed / 250'000, table.segment_count());
      next_report += 250'000;
      batch_start = cpu_ns();
    }
  }
  std::printf("table bytes per entry, mean over sizes from 1M: %.2f\n", table_sum / table_samples);
  std::printf("heap: resident / used = %.4f\n",
              static_cast<double>(heap.resident_bytes()) / static_cast<double>(heap.used_bytes()));
  inserts.print("find + create + insert");

  constexpr int kProbes = 1'000'000;
  std::vector<std::uint64_t> hashes(kProbes);
  std::vector<std::uint64_t> numbers(kProbes);
  for (int i = 0; i < kProbes; ++i) {
    numbers[i] = random.below(target);
    hashes[i] = table.hash_of(key_of(numbers[i], buffer));
  }
  std::size_t found = 0;
  double start = cpu_ns();
  for (int i = 0; i < kProbes; ++i) key_of(numbers[i], buffer);
  const double key_ns = cpu_ns() - start;
  start = cpu_ns();
  for (int i = 0; i < kProbes; ++i)
    found += table.find(hashes[i], key_of(numbers[i], buffer)).entry != nullptr;
  std::printf("find (present)               %.0f ns\n", (cpu_ns() - start - key_ns) / kProbes);
  start = cpu_ns();
  for (int i = 0; i < kProbes; ++i)
    found += table.find(hashes[i] * 0x9e3779b97f4a7c15, "absent").entry != nullptr;
  std::printf("find (absent)                %.0f ns\n", (cpu_ns() - start) / kProbes);
  start = cpu_ns();
  for (int i = 0; i < kProbes; ++i) {
    Locator where = table.find(hashes[i], key_of(numbers[i], buffer));
    table.set_expiry(where, kNow + 1'900'000 + i % 1000);
  }
  std::printf("find + set_expiry            %.0f ns\n", (cpu_ns() - start - key_ns) / kProbes);
  start = cpu_ns();
  for (int i = 0; i < kProbes; ++i) found += table.random_entry(random) != nullptr;
  std::printf("random_entry                 %.0f ns\n", (cpu_ns() - start) / kProbes);
  start = cpu_ns();
  std::uint64_t cursor = 0;
  std::size_t scanned = 0;
  std::size_t calls = 0;
  do {
    cursor = table.scan(cursor, 10, [&](Entry*, UnixMs) { ++scanned; });
    ++calls;
  } while (cursor != 0);
  std::printf("scan COUNT 10                %.0f ns a call, %.2f entries\n",
              (cpu_ns() - start) / static_cast<double>(calls),
              static_cast<double>(scanned) / static_cast<double>(calls));

  // Everything expires within one minute and a bit, a millisecond a call.
  Percentiles turns;
  std::size_t expired = 0;
  start = cpu_ns();
  std::vector<Entry*> due(64);
  while (table.expiring_count() > 0) {
    const UnixMs now = table.next_due();
    const double turn = now_ns();
    const std::size_t count = table.collect_due(now, due.data(), due.size());
    turns.add(now_ns() - turn);
    for (std::size_t i = 0; i < count; ++i) {
      Locator where = table.find(due[i]->key());
      Entry::destroy(heap, table.erase(where));
      ++expired;
    }
    if (expired == target / 4 * 3) break;
  }
  std::printf("expiry                       %.0f ns an entry\n",
              (cpu_ns() - start) / static_cast<double>(expired));
  turns.print("collect_due of up to 64");

  Percentiles slices;
  bool more = true;
  for (int idle = 0; idle < 2000; idle = more ? 0 : idle + 1) {
    const double slice = now_ns();
    more = table.merge_slice(8);
    slices.add(now_ns() - slice);
  }
  slices.print("merge_slice(8)");
  std::printf("after merging: %zu entries, %zu segments, table %zu bytes\n", table.size(),
              table.segment_count(), table.memory_bytes());
  Percentiles drains;
  bool done = false;
  while (!done) {
    const double slice = now_ns();
    done = table.drain(100, [&](Entry* entry) { Entry::destroy(heap, entry); });
    drains.add(now_ns() - slice);
  }
  drains.print("drain(100)");
  return found == 0 ? 1 : 0;
}
