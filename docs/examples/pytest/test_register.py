from register_scenario import scenario


def test_register(quorate):
    quorate.hunt(scenario, seeds=10)


def test_every_order_of_few_operations(quorate):
    quorate.explore(scenario)


def test_paxos_in_worlds_that_were_chosen(quorate):
    quorate.hunt("paxos", seed=1, seeds=20)
