import { ACCOUNT_ID } from '../../service.ts';
import {
  generatedName,
  physicalIdOf,
  type ResourceHandler,
  type ResourceHandlers,
} from '../resource-handler.ts';

/** A resource whose only effect here is to have an id that others refer to. */
function named(prefix: string, attributes: Readonly<Record<string, string>> = {}): ResourceHandler {
  return (request) => {
    const ref = `${prefix}-${physicalIdOf(request)}`;
    const own = Object.entries(attributes).map(([name, property]) => [
      name,
      request.properties[property] ?? '',
    ]);
    return { ref, attributes: { ...Object.fromEntries(own), Id: ref } };
  };
}

const securityGroup: ResourceHandler = (request) => {
  const groupId = `sg-${physicalIdOf(request)}`;
  const vpcId = request.properties['VpcId'];
  // As on AWS: without a VPC, Ref is the group's name, which is not what anybody wants.
  const ref =
    vpcId === undefined ? String(request.properties['GroupName'] ?? generatedName(request)) : groupId;
  return { ref, attributes: { GroupId: groupId, VpcId: vpcId ?? 'vpc-default', Id: groupId } };
};

/**
 * Accepted without an effect: loopback addresses need no network, and nobody is billed. A type belongs here only
 * when the system behaves the same without it; every other unknown type stops the deploy.
 */
export const NETWORK_RESOURCES: ResourceHandlers = {
  'AWS::EC2::VPC': (request) => {
    const ref = `vpc-${physicalIdOf(request)}`;
    const CidrBlock = request.properties['CidrBlock'];
    return {
      ref,
      attributes: { VpcId: ref, CidrBlock, DefaultSecurityGroup: `sg-${physicalIdOf(request)}` },
    };
  },
  'AWS::EC2::Subnet': (request) => {
    const ref = `subnet-${physicalIdOf(request)}`;
    const { AvailabilityZone = `${request.region}a`, VpcId } = request.properties;
    return { ref, attributes: { SubnetId: ref, AvailabilityZone, VpcId } };
  },
  'AWS::EC2::InternetGateway': (request) => {
    const ref = `igw-${physicalIdOf(request)}`;
    return { ref, attributes: { InternetGatewayId: ref } };
  },
  'AWS::EC2::VPCGatewayAttachment': named('vgw-attach'),
  'AWS::EC2::RouteTable': (request) => {
    const ref = `rtb-${physicalIdOf(request)}`;
    return { ref, attributes: { RouteTableId: ref } };
  },
  'AWS::EC2::Route': named('route'),
  'AWS::EC2::SubnetRouteTableAssociation': named('rtbassoc'),
  'AWS::EC2::VPCEndpoint': named('vpce'),
  'AWS::EC2::SecurityGroup': securityGroup,
  'AWS::EC2::SecurityGroupIngress': named('sgr'),
  'AWS::EC2::SecurityGroupEgress': named('sgr'),
  'AWS::Budgets::Budget': (request) => ({ ref: generatedName(request) }),
  'AWS::CloudFormation::WaitConditionHandle': named('handle'),
  'AWS::SNS::Topic': (request) => {
    const TopicName = String(request.properties['TopicName'] ?? generatedName(request));
    const ref = `arn:aws:sns:${request.region}:${ACCOUNT_ID}:${TopicName}`;
    return { ref, attributes: { TopicArn: ref, TopicName } };
  },
  'AWS::SNS::TopicPolicy': named('topic-policy'),
};
