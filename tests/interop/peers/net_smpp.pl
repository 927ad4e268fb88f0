#!/usr/bin/perl
# An SMPP peer made of Net::SMPP (Debian: libnet-smpp-perl). How it is spoken to: foreign.py.
use strict;
use warnings;
use Net::SMPP;
use IO::Select;

my ($role, $port) = @ARGV;
$| = 1;
my $refuse = 0;
my $ids    = 0;
my $smpp;
my $listener;
if ($role eq 'smsc') {
    $listener = Net::SMPP->new_listen('127.0.0.1', port => 0, timeout => 60, smpp_version => 0x34) or die "listen: $!";
    print 'listening port=', $listener->sockport, "\n";
}
else {
    $smpp = Net::SMPP->new_connect('127.0.0.1', port => $port, async => 1, smpp_version => 0x34) or die "connect: $!";
    print "connected\n";
}

my %HEX = map { $_ => 1 } qw(short_message message_payload);
my @SHOWN = qw(system_id message_id source_addr destination_addr esm_class data_coding short_message message_payload
    message_state error_code receipted_message_id sc_interface_version password);

sub show {
    my ($pdu) = @_;
    my $name = $pdu->explain_cmd;
    $name =~ s/^CMD_//;
    my @words = ($name, "seq=$pdu->{seq}", "status=$pdu->{status}");
    for my $field (@SHOWN) {
        my $value = $pdu->{$field};
        next if !defined $value;
        $value = unpack 'H*', $value if $HEX{$field} || $field eq 'sc_interface_version';
        $value = ord $value if $field eq 'message_state' && $name eq 'deliver_sm';
        $value =~ s/\0.*//s;
        push @words, "$field=$value";
    }
    print "@words\n";
    return $name;
}

sub heard {
    my ($pdu) = @_;
    my $name = show($pdu);
    my $seq  = $pdu->{seq};
    if    ($name eq 'deliver_sm')   { $smpp->deliver_sm_resp(seq => $seq, message_id => '') }
    elsif ($name eq 'enquire_link') { $smpp->enquire_link_resp(seq => $seq) }
    elsif ($name eq 'unbind')       { $smpp->unbind_resp(seq => $seq) }
    elsif ($name eq 'submit_sm')    { $smpp->submit_sm_resp(seq => $seq, status => $refuse, message_id => $refuse ? '' : 'net-' . ++$ids) }
    elsif ($name =~ /^bind_(transceiver|transmitter|receiver)$/) {
        my $answer = "${name}_resp";
        $smpp->$answer(seq => $seq, system_id => 'net-smpp', status => $pdu->{password} eq 'wrong' ? 0x0e : 0);
    }
}

sub order {
    my ($name, @words) = split ' ', shift;
    my %given = map { split /=/, $_, 2 } @words;
    if ($name eq 'refuse') { $refuse = $given{status}; print "refusing\n"; return }
    for my $field (keys %given) {
        $given{$field} = pack 'H*', $given{$field} if $HEX{$field} || $field =~ /^sar_/;
    }
    $smpp->$name(async => 1, %given);
}

my $stdin = '';
while (1) {
    my @from = grep { defined } \*STDIN, $smpp // $listener;
    for my $ready (IO::Select->new(@from)->can_read) {
        if ($ready == \*STDIN) {
            sysread(STDIN, $stdin, 65536, length $stdin) or exit 0;
            order($1) while $stdin =~ s/^(.*)\n//;
        }
        elsif (defined $smpp) {
            local $SIG{__WARN__} = sub { };
            my $pdu = $smpp->read_pdu;
            if (defined $pdu) { heard($pdu) }
            else {
                print "closed\n";
                exit 0 if $role ne 'smsc';
                $smpp = undef;
            }
        }
        else {
            $smpp = $listener->accept or die "accept: $!";
            print "accepted\n";
        }
    }
}
