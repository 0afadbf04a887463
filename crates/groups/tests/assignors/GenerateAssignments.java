// Writes what Kafka's own RangeAssignor and RoundRobinAssignor make of generated groups, one group a line:
//
//     topics;members;range;roundrobin
//
// topics:  each a letter and its number of partitions, such as a3b0 (0: no metadata of it); with racks each number is followed
//          by as many digits, one a partition: bit n stands for a replica on rack n
// members: id[@instance]:letters of its topics, separated by commas; with racks the letters are followed by / and the number of
//          the member's rack, if it has one
// range and roundrobin: for each topic in the order of `topics`, then each partition, the index of its owner among the members
// (base 36, - for none)
//
// Run it with the jars of Apache Kafka 4.3.1's clients:
//
//     java -cp "$KAFKA_HOME/libs/*" GenerateAssignments.java > assignments.txt
//     java -cp "$KAFKA_HOME/libs/*" GenerateAssignments.java racks > assignments-racks.txt

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

public class GenerateAssignments {
    static final int GROUPS = 2400;
    // The last two are ordered one way by UTF-16 units, as Java does, and the other way by code points.
    static final String[] SIGNS = {"0", "9", "A", "Z", "_", "-", "a", "z", "\u00e9", "\uff21", "\ud83d\ude00"};
    static final String TOPICS = "aAbBcdeZz0";

    static final int GROUPS_WITH_RACKS = 1600;
    static final int RACKS = 3;

    record Member(String id, String instance, String topics, String rack) {}

    public static void main(String[] args) {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        boolean racks = args.length > 0 && args[0].equals("racks");
        Random random = new Random(racks ? 881 : 4301);
        for (int i = 0; i < (racks ? GROUPS_WITH_RACKS : GROUPS); i++) out.println(group(random, i, racks));
        out.flush();
    }

    static String group(Random random, int number, boolean racks) {
        int topicCount = 1 + random.nextInt(4);
        int equalPartitions = 1 + random.nextInt(8);
        boolean coPartitioned = number % 3 == 0;
        Map<Character, Integer> topics = new HashMap<>();
        StringBuilder letters = new StringBuilder();
        while (letters.length() < topicCount) {
            char letter = TOPICS.charAt(random.nextInt(TOPICS.length()));
            if (topics.containsKey(letter)) continue;
            letters.append(letter);
            topics.put(letter, coPartitioned ? equalPartitions : random.nextInt(5) == 0 ? 0 : 1 + random.nextInt(8));
        }
        // 0: all dynamic, 1: all static, 2: mixed
        int kind = random.nextInt(3);
        boolean equal = random.nextBoolean();
        List<Member> members = new ArrayList<>();
        Set<String> taken = new TreeSet<>();
        int memberCount = 1 + random.nextInt(random.nextInt(8) == 0 ? 14 : 5);
        while (members.size() < memberCount) {
            String id = name(random);
            if (!taken.add("m" + id)) continue;
            String instance = null;
            if (kind == 1 || kind == 2 && random.nextBoolean()) {
                do instance = name(random); while (!taken.add("i" + instance));
            }
            String rack = racks && random.nextInt(8) > 0 ? String.valueOf(random.nextInt(RACKS)) : null;
            members.add(new Member(id, instance, equal ? letters.toString() : some(random, letters), rack));
        }
        Map<String, Subscription> subscriptions = new HashMap<>();
        for (Member member : members) {
            List<String> names = new ArrayList<>();
            for (char letter : member.topics.toCharArray()) names.add(String.valueOf(letter));
            Subscription subscription = new Subscription(names, null, List.of(), -1, Optional.ofNullable(member.rack));
            subscription.setGroupInstanceId(Optional.ofNullable(member.instance));
            subscriptions.put(member.id, subscription);
        }
        List<Node> nodes = new ArrayList<>();
        for (int n = 0; n < RACKS; n++) nodes.add(new Node(n, "localhost", 9092 + n, racks ? String.valueOf(n) : null));
        // 0: partition n as the nodes in turn, 1: anywhere, 2: everywhere
        int spread = !racks || random.nextInt(8) == 0 ? 2 : random.nextInt(2);
        int replication = racks ? 1 + random.nextInt(RACKS) : 1;
        List<PartitionInfo> partitions = new ArrayList<>();
        StringBuilder line = new StringBuilder();
        for (char letter : letters.toString().toCharArray()) {
            line.append(letter).append(topics.get(letter));
            for (int p = 0; p < topics.get(letter); p++) {
                int mask = 0;
                for (int r = 0; r < replication; r++) mask |= 1 << (spread == 1 ? random.nextInt(RACKS) : (p + r) % RACKS);
                if (spread == 2) mask = (1 << RACKS) - 1;
                if (racks) line.append(mask);
                List<Node> replicas = new ArrayList<>();
                for (int n = 0; n < RACKS; n++) if ((mask & 1 << n) != 0) replicas.add(nodes.get(n));
                Node[] all = replicas.toArray(new Node[0]);
                partitions.add(new PartitionInfo(String.valueOf(letter), p, all[0], all, all));
            }
        }
        Cluster cluster = new Cluster("c", nodes, partitions, Set.of(), Set.of());

        line.append(';');
        for (int m = 0; m < members.size(); m++) {
            Member member = members.get(m);
            if (m > 0) line.append(',');
            line.append(member.id);
            if (member.instance != null) line.append('@').append(member.instance);
            line.append(':').append(member.topics);
            if (member.rack != null) line.append('/').append(member.rack);
        }
        for (ConsumerPartitionAssignor assignor : List.of(new RangeAssignor(), new RoundRobinAssignor())) {
            line.append(';');
            var assignments = assignor.assign(cluster, new GroupSubscription(subscriptions)).groupAssignment();
            Map<TopicPartition, Character> owners = new HashMap<>();
            for (int m = 0; m < members.size(); m++)
                for (TopicPartition owned : assignments.get(members.get(m).id).partitions())
                    owners.put(owned, Character.forDigit(m, 36));
            for (char letter : letters.toString().toCharArray())
                for (int p = 0; p < topics.get(letter); p++)
                    line.append(owners.getOrDefault(new TopicPartition(String.valueOf(letter), p), '-'));
        }
        return line.toString();
    }

    static String name(Random random) {
        StringBuilder name = new StringBuilder();
        for (int i = 1 + random.nextInt(3); i > 0; i--) name.append(SIGNS[random.nextInt(SIGNS.length)]);
        return name.toString();
    }

    /** Any of the topics in any order, now and then one twice, now and then none. */
    static String some(Random random, CharSequence letters) {
        StringBuilder some = new StringBuilder();
        for (int i = random.nextInt(letters.length() + 2); i > 0; i--) {
            char letter = letters.charAt(random.nextInt(letters.length()));
            if (some.indexOf(String.valueOf(letter)) < 0 || random.nextInt(10) == 0) some.append(letter);
        }
        return some.toString();
    }
}
