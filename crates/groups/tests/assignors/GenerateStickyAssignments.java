// Writes what Kafka's own StickyAssignor and CooperativeStickyAssignor make of generated groups that had an assignment before, one
// group a line:
//
//     topics;members;sticky;cooperative
//
// topics:  each a letter and its number of partitions; with racks followed by / and as many digits, one a partition: bit n stands
//          for a replica on rack n. Separated by commas. The partitions of all topics are numbered in this order.
// members: letters of its topics:generation:what it owned[/rack], separated by commas. A member without a generation has none, its
//          partitions are numbers in base 62, one sign each. The n-th member's id is "m" and n in base 36.
// sticky and cooperative: the owner of each partition, the number of a member in base 36, - for none
//
// Run it with the jars of Apache Kafka 4.3.1's clients; GROUPS and SEED are numbers:
//
//     java -cp "$KAFKA_HOME/libs/*" GenerateStickyAssignments.java GROUPS SEED [racks] > sticky.txt
//
// What members owned comes from Kafka's own assignment of the group as it was; then members came and went, topics and partitions
// were added, subscriptions changed, members told of older generations, and two claim the same partition. Groups on which Kafka's
// assignor does not come to an end within two seconds, fails, or gives a partition to a member that does not subscribe to its
// topic are left out; how many is said at the end.

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

public class GenerateStickyAssignments {
    static final String SIGNS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static final int RACKS = 3;

    static class Member {
        TreeSet<Character> topics = new TreeSet<>();
        int generation = -1;
        String rack;
        List<TopicPartition> owned = new ArrayList<>();
    }

    final Random random;
    final boolean racks;
    final int spread;
    final Map<Character, List<Integer>> topics = new LinkedHashMap<>();
    final List<Member> members = new ArrayList<>();

    GenerateStickyAssignments(Random random, boolean racks) {
        this.random = random;
        this.racks = racks;
        this.spread = random.nextInt(2);
    }

    public static void main(String[] args) throws InterruptedException {
        PrintStream out = new PrintStream(System.out, false);
        Random random = new Random(Long.parseLong(args[1]));
        boolean racks = args.length > 2 && args[2].equals("racks");
        int endless = 0, wrong = 0;
        for (int i = Integer.parseInt(args[0]); i > 0; i--) {
            String line = inTime(new GenerateStickyAssignments(new Random(random.nextLong()), racks));
            if (line == null) endless++;
            else if (line.isEmpty()) wrong++;
            else out.println(line);
        }
        out.flush();
        System.err.println("without an end or failed: " + endless + ", to members that do not subscribe: " + wrong);
        System.exit(0);
    }

    /** A group's line; empty when Kafka's assignment is not one of subscribed topics; null when there is none. */
    @SuppressWarnings("removal")
    static String inTime(GenerateStickyAssignments generator) throws InterruptedException {
        String[] line = new String[1];
        Thread thread = new Thread(() -> line[0] = generator.group());
        thread.setDaemon(true);
        thread.start();
        thread.join(2000);
        if (thread.isAlive()) {
            try { thread.stop(); } catch (UnsupportedOperationException e) { /* It ends with the process. */ }
            return null;
        }
        return line[0];
    }

    String group() {
        boolean equal = random.nextInt(3) == 0;
        int topicCount = 1 + random.nextInt(equal ? 4 : 6), partitionCount = 1 + random.nextInt(10);
        for (int i = 0; i < topicCount; i++) addTopic((char) ('a' + i), partitionCount);
        for (int i = 1 + random.nextInt(random.nextInt(6) == 0 ? 16 : 6); i > 0; i--) members.add(member(equal));
        // Otherwise everybody is new.
        if (random.nextInt(6) > 0) {
            for (int generation = 1; generation <= 1 + random.nextInt(2); generation++) {
                settle(generation);
                for (int i = 1 + random.nextInt(2); i > 0; i--) change(equal);
            }
            if (random.nextInt(5) == 0) conflict();
        }
        while (count() > SIGNS.length()) topics.remove(topics.keySet().iterator().next());
        for (Member member : members) {
            member.topics.retainAll(topics.keySet());
            member.owned.removeIf(owned -> !exists(owned));
        }
        return line();
    }

    int count() { return topics.values().stream().mapToInt(List::size).sum(); }

    boolean exists(TopicPartition partition) {
        List<Integer> topic = topics.get(partition.topic().charAt(0));
        return topic != null && partition.partition() < topic.size();
    }

    void addTopic(char letter, int most) {
        List<Integer> masks = new ArrayList<>();
        for (int i = 1 + random.nextInt(most); i > 0; i--) masks.add(mask(masks.size()));
        topics.put(letter, masks);
    }

    int mask(int partition) {
        int mask = 0;
        for (int r = 0; r < 2; r++) mask |= 1 << (spread == 0 ? (partition + r) % RACKS : random.nextInt(RACKS));
        return mask;
    }

    Member member(boolean equal) {
        Member member = new Member();
        for (char letter : topics.keySet()) if (equal || random.nextBoolean()) member.topics.add(letter);
        if (racks && random.nextInt(8) > 0) member.rack = String.valueOf(random.nextInt(RACKS));
        return member;
    }

    /** Everybody gets what Kafka would assign, in this generation. */
    void settle(int generation) {
        List<List<TopicPartition>> shares = assign(new StickyAssignor());
        for (int m = 0; m < members.size(); m++) {
            // Now and then somebody missed it.
            if (generation > 1 && random.nextInt(8) == 0) continue;
            members.get(m).owned = new ArrayList<>(shares.get(m));
            members.get(m).generation = generation;
        }
    }

    void change(boolean equal) {
        Member one = members.get(random.nextInt(members.size()));
        switch (random.nextInt(equal ? 5 : 7)) {
            case 0 -> { if (members.size() < 35) members.add(random.nextInt(members.size() + 1), member(equal)); }
            case 1 -> { if (members.size() > 1) members.remove(one); }
            case 2 -> {
                char letter = (char) ('a' + topics.size());
                addTopic(letter, 8);
                for (Member member : members) if (equal || random.nextBoolean()) member.topics.add(letter);
            }
            case 3 -> {
                List<Integer> topic = new ArrayList<>(topics.values()).get(random.nextInt(topics.size()));
                for (int i = 1 + random.nextInt(5); i > 0; i--) topic.add(mask(topic.size()));
            }
            case 4 -> { one.owned.clear(); one.generation = -1; }
            default -> {
                char letter = (char) ('a' + random.nextInt(topics.size()));
                if (!one.topics.remove(letter)) one.topics.add(letter);
                else if (random.nextBoolean()) one.owned.removeIf(owned -> owned.topic().charAt(0) == letter);
            }
        }
    }

    /** Somebody claims what another one owns. */
    void conflict() {
        Member one = members.get(random.nextInt(members.size())), other = members.get(random.nextInt(members.size()));
        if (one == other || other.owned.isEmpty()) return;
        TopicPartition partition = other.owned.get(random.nextInt(other.owned.size()));
        if (one.topics.contains(partition.topic().charAt(0)) && !one.owned.contains(partition)) one.owned.add(partition);
        if (one.generation < 0 || random.nextInt(3) == 0) one.generation = Math.max(0, other.generation - random.nextInt(2));
    }

    Cluster cluster() {
        List<Node> nodes = new ArrayList<>();
        for (int n = 0; n < RACKS; n++) nodes.add(new Node(n, "localhost", 9092 + n, racks ? String.valueOf(n) : null));
        List<PartitionInfo> partitions = new ArrayList<>();
        topics.forEach((letter, masks) -> {
            for (int p = 0; p < masks.size(); p++) {
                List<Node> replicas = new ArrayList<>();
                for (int n = 0; n < RACKS; n++) if ((masks.get(p) & 1 << n) != 0) replicas.add(nodes.get(n));
                Node[] all = replicas.toArray(new Node[0]);
                partitions.add(new PartitionInfo(String.valueOf(letter), p, all[0], all, all));
            }
        });
        return new Cluster("c", nodes, partitions, Set.of(), Set.of());
    }

    static String id(int member) { return "m" + Character.forDigit(member, 36); }

    @SuppressWarnings("removal")
    List<List<TopicPartition>> assign(ConsumerPartitionAssignor assignor) {
        Map<String, Subscription> subscriptions = new HashMap<>();
        for (int m = 0; m < members.size(); m++) {
            Member member = members.get(m);
            List<String> names = new ArrayList<>();
            for (char letter : member.topics) names.add(String.valueOf(letter));
            ConsumerPartitionAssignor own = assignor instanceof StickyAssignor ? new StickyAssignor() : new CooperativeStickyAssignor();
            if (member.generation >= 0)
                own.onAssignment(new Assignment(member.owned), new ConsumerGroupMetadata("g", member.generation, id(m), Optional.empty()));
            subscriptions.put(id(m), new Subscription(names, own.subscriptionUserData(new HashSet<>(names)), member.owned, member.generation,
                Optional.ofNullable(member.rack)));
        }
        var assignments = assignor.assign(cluster(), new GroupSubscription(subscriptions)).groupAssignment();
        List<List<TopicPartition>> shares = new ArrayList<>();
        for (int m = 0; m < members.size(); m++) shares.add(assignments.get(id(m)).partitions());
        return shares;
    }

    String line() {
        Map<TopicPartition, Integer> numbers = new HashMap<>();
        StringBuilder line = new StringBuilder();
        topics.forEach((letter, masks) -> {
            if (line.length() > 0) line.append(',');
            line.append(letter).append(masks.size());
            if (racks) line.append('/');
            for (int p = 0; p < masks.size(); p++) {
                if (racks) line.append(masks.get(p));
                numbers.put(new TopicPartition(String.valueOf(letter), p), numbers.size());
            }
        });
        line.append(';');
        for (int m = 0; m < members.size(); m++) {
            Member member = members.get(m);
            if (m > 0) line.append(',');
            for (char letter : member.topics) line.append(letter);
            line.append(':').append(member.generation < 0 ? "" : member.generation).append(':');
            for (TopicPartition owned : member.owned) line.append(SIGNS.charAt(numbers.get(owned)));
            if (member.rack != null) line.append('/').append(member.rack);
        }
        for (ConsumerPartitionAssignor assignor : List.of(new StickyAssignor(), new CooperativeStickyAssignor())) {
            char[] owners = "-".repeat(numbers.size()).toCharArray();
            List<List<TopicPartition>> shares = assign(assignor);
            for (int m = 0; m < members.size(); m++)
                for (TopicPartition partition : shares.get(m)) {
                    if (!members.get(m).topics.contains(partition.topic().charAt(0))) return "";
                    owners[numbers.get(partition)] = Character.forDigit(m, 36);
                }
            line.append(';').append(owners);
        }
        return line.toString();
    }
}
