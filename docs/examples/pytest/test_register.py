from register_scenario import scenario


def test_register(quorate):
    quorate.hunt(scenario, seeds=20)


def test_paxos_takes_the_highest_vote(quorate):
    quorate.hunt("paxos", seeds=20, configuration="hasty")
