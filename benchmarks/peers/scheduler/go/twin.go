// Go: goroutines, channels, sync. ../twin.hpp says how a twin is called and what it prints, ../work.hpp what a row is.
//
// There is no hog: no thread is foreign to Go's runtime.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Smaller than the others' fib(34) and 10 million leaves: that would take many seconds and gigabytes.
const (
	fibOf    = 30
	fibValue = 832040
	fibTasks = 2692537

	skynetLeaves = 1000000
	skynetTasks  = 1111111
)

const (
	board       = 12
	queensValue = 14200
	queensTasks = 856189

	million         = 1000000
	yieldingTasks   = 2
	competingTasks  = 100
	permits         = 4
	channelItems    = 10000000
	channelCapacity = 1024
	connections     = 20
	roundTrips      = 100000
	messageSize     = 64
)

// --- what is measured ---

type measurement struct {
	workers   int
	ops       int
	ms, cpuMs float64
	latencies []float64
}

func fail(err any) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func check(right bool) {
	if !right {
		fail("wrong result")
	}
}

func cpuSeconds() float64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return float64(used.Utime.Nano()+used.Stime.Nano()) * 1e-9
}

func peakBytes() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "VmHWM:") {
			kib, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return kib * 1024
		}
	}
	fail("/proc/self/status has no line VmHWM")
	return 0
}

// Once as a rehearsal, and then until it took long enough.
func (m *measurement) run(ops int, f func() int, expected int) {
	const enoughMs, most = 300, 9
	check(f() == expected)
	var rounds []float64
	cpuMs := 0.0
	for spent := 0.0; spent < enoughMs && len(rounds) < most; spent += m.ms {
		m.timed(ops, func() { check(f() == expected) })
		rounds = append(rounds, m.ms)
		cpuMs += m.cpuMs
	}
	sort.Float64s(rounds)
	m.ms = rounds[len(rounds)/2]
	m.cpuMs = cpuMs / float64(len(rounds))
}

func (m *measurement) timed(ops int, f func()) {
	cpu, begun := cpuSeconds(), time.Now()
	f()
	m.ms = float64(time.Since(begun).Nanoseconds()) * 1e-6
	m.cpuMs = (cpuSeconds() - cpu) * 1e3
	m.ops = ops
}

func (m *measurement) print(row string) {
	fmt.Printf(`{"row":"%s","workers":%d,"ops":%d,"ms":%.3f,"cpu_ms":%.3f,"peak_mb":%.3f`, row, m.workers, m.ops, m.ms,
		m.cpuMs, peakBytes()/1e6)
	if len(m.latencies) > 0 {
		sort.Float64s(m.latencies)
		of := func(percent int) float64 { return m.latencies[(len(m.latencies)-1)*percent/100] }
		fmt.Printf(`,"p50_us":%.3f,"p99_us":%.3f,"max_us":%.3f`, of(50), of(99), of(100))
	}
	fmt.Println("}")
}

// --- forks and joins ---

func fib(n int) int {
	if n < 2 {
		return n
	}
	var a int
	var forked sync.WaitGroup
	forked.Add(1)
	go func() {
		a = fib(n - 1)
		forked.Done()
	}()
	b := fib(n - 2)
	forked.Wait()
	return a + b
}

func skynet(first, leaves int) int {
	if leaves == 1 {
		return first
	}
	var sums [10]int
	var branches sync.WaitGroup
	branches.Add(len(sums))
	for i := range sums {
		go func(i int) {
			sums[i] = skynet(first+i*leaves/10, leaves/10)
			branches.Done()
		}(i)
	}
	branches.Wait()
	sum := 0
	for _, each := range sums {
		sum += each
	}
	return sum
}

type placement [board]int8

func (placed *placement) safe(columns, row int) bool {
	for column := 0; column < columns; column++ {
		other, distance := int(placed[column]), columns-column
		if other == row || other == row-distance || other == row+distance {
			return false
		}
	}
	return true
}

func queens(placed placement, columns int) int {
	if columns == board {
		return 1
	}
	var found [board]int
	var branches sync.WaitGroup
	for row := 0; row < board; row++ {
		if placed.safe(columns, row) {
			placed[columns] = int8(row)
			branches.Add(1)
			go func(row int, placed placement) {
				found[row] = queens(placed, columns+1)
				branches.Done()
			}(row, placed)
		}
	}
	branches.Wait()
	sum := 0
	for _, each := range found {
		sum += each
	}
	return sum
}

func flat() int {
	var all sync.WaitGroup
	all.Add(million)
	for i := 0; i < million; i++ {
		go all.Done()
	}
	all.Wait()
	return million
}

// A channel each is the handle.
func spawnAllThenJoin() int {
	handles := make([]chan struct{}, million)
	for i := range handles {
		done := make(chan struct{})
		handles[i] = done
		go close(done)
	}
	for _, done := range handles {
		<-done
	}
	return million
}

// --- taking turns ---

// So many goroutines at once that do the same.
func all(count int, f func()) {
	var running sync.WaitGroup
	running.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			f()
			running.Done()
		}()
	}
	running.Wait()
}

func yield() int {
	all(yieldingTasks, func() {
		for i := 0; i < million/yieldingTasks; i++ {
			runtime.Gosched()
		}
	})
	return 0
}

func mutex() int {
	var guarding sync.Mutex
	guarded := 0
	all(competingTasks, func() {
		for i := 0; i < million/competingTasks; i++ {
			guarding.Lock()
			guarded++
			guarding.Unlock()
		}
	})
	return guarded
}

func semaphore() int {
	gate := make(chan struct{}, permits)
	all(competingTasks, func() {
		for i := 0; i < million/competingTasks; i++ {
			gate <- struct{}{}
			<-gate
		}
	})
	return 0
}

func channel() int {
	between := make(chan int, channelCapacity)
	go func() {
		for i := 0; i < channelItems; i++ {
			between <- 1
		}
	}()
	sum := 0
	for i := 0; i < channelItems; i++ {
		sum += <-between
	}
	return sum
}

// --- TCP; net sets TCP_NODELAY by itself ---

func answer(client net.Conn) {
	defer client.Close()
	buffer := make([]byte, messageSize)
	for {
		got, err := client.Read(buffer)
		if err != nil {
			return
		}
		if _, err := client.Write(buffer[:got]); err != nil {
			return
		}
	}
}

func ask(server string) {
	stream, err := net.Dial("tcp", server)
	if err != nil {
		fail(err)
	}
	defer stream.Close()
	buffer := make([]byte, messageSize)
	for i := 0; i < roundTrips/connections; i++ {
		if _, err := stream.Write(buffer); err != nil {
			fail(err)
		}
		if _, err := io.ReadFull(stream, buffer); err != nil {
			fail(err)
		}
	}
}

func tcp() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	defer listener.Close()
	go func() {
		for i := 0; i < connections; i++ {
			client, err := listener.Accept()
			if err != nil {
				fail(err)
			}
			go answer(client)
		}
	}()
	all(connections, func() { ask(listener.Addr().String()) })
	return roundTrips
}

// --- from outside: a goroutine that has its thread for itself is the nearest to a foreign thread ---

func wakeup(m *measurement) {
	runtime.LockOSThread()
	const times = 5000
	done := make(chan struct{})
	var waits []float64
	once := func() {
		// time.Sleep would make the runtime's own timers part of it.
		pause := syscall.NsecToTimespec(200 * int64(time.Microsecond))
		for syscall.Nanosleep(&pause, &pause) == syscall.EINTR {
		}
		begun := time.Now()
		go func() { done <- struct{}{} }()
		<-done
		waits = append(waits, float64(time.Since(begun).Nanoseconds())*1e-3)
	}
	for i := 0; i < times/10; i++ {
		once()
	}
	waits = nil
	m.timed(times, func() {
		for i := 0; i < times; i++ {
			once()
		}
	})
	m.latencies = waits
}

func idle(m *measurement) {
	all(1, func() {})
	m.timed(1, func() { time.Sleep(2 * time.Second) })
}

func busy(m *measurement) {
	all(1, func() {})
	m.timed(1, func() {
		all(1, func() {
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
			}
		})
	})
}

type row struct {
	name string
	run  func(*measurement)
}

var rows = []row{
	{"fib34", func(m *measurement) { m.run(fibTasks, func() int { return fib(fibOf) }, fibValue) }},
	{"skynet10m", func(m *measurement) {
		m.run(skynetTasks, func() int { return skynet(0, skynetLeaves) }, skynetLeaves*(skynetLeaves-1)/2)
	}},
	{"queens12", func(m *measurement) {
		m.run(queensTasks, func() int { return queens(placement{}, 0) }, queensValue)
	}},
	{"flat1m", func(m *measurement) { m.run(million, flat, million) }},
	{"spawn1m", func(m *measurement) { m.run(million, spawnAllThenJoin, million) }},
	{"yield1m", func(m *measurement) { m.run(million, yield, 0) }},
	{"mutex1m", func(m *measurement) { m.run(million, mutex, million) }},
	{"semaphore1m", func(m *measurement) { m.run(million, semaphore, 0) }},
	{"channel10m", func(m *measurement) { m.run(channelItems, channel, channelItems) }},
	{"tcp100k", func(m *measurement) { m.run(roundTrips, tcp, roundTrips) }},
	{"wakeup", wakeup},
	{"idle", idle},
	{"busy", busy},
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		for _, each := range rows {
			fmt.Println(each.name)
		}
		return
	}
	if len(os.Args) == 4 && os.Args[2] == "--workers" {
		if workers, _ := strconv.Atoi(os.Args[3]); workers > 0 {
			for _, each := range rows {
				if each.name == os.Args[1] {
					runtime.GOMAXPROCS(workers)
					m := measurement{workers: workers}
					each.run(&m)
					m.print(each.name)
					return
				}
			}
		}
	}
	fmt.Fprintln(os.Stderr, "usage: twin --list | twin ROW --workers N")
	os.Exit(2)
}
